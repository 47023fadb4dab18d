"""What a cluster fails with, next to the exceptions of rhumb: each is pickled as it is between processes."""

from __future__ import annotations

from ..errors import Error


class Unavailable(Error, TimeoutError):
    """Until the deadline, some shards had no replica that answered. The message names them, and why."""


class Unacknowledged(Error, TimeoutError):
    """Until the deadline, some writers did not acknowledge their part of a batch, which may be there or not.

    The same upsert or delete may be called again; so may the same add, which takes what is there for done.
    """


class Moved(Error):
    """This process does not have the shard any more: ask the keeper for the plan. Clients do so by themselves."""


class NotReady(Error):
    """This node is still copying the shard. Clients ask another replica."""


class Fenced(Error):
    """A newer writer has taken over the shard: this one may not write again."""


def line_of(failure: Exception) -> str:
    """The first line of what a failure says."""
    return (str(failure) or type(failure).__name__).splitlines()[0]
