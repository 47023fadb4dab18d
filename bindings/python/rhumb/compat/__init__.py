"""Stand-ins for the interfaces of other libraries: programs change one import line."""
