"""The parts of serve.py: a search service over a folder of shards, with Python's standard library, numpy and rhumb.

    supervisor   starts worker processes, and starts them again when they die
    worker       one process: accepts connections, answers requests, stops gracefully
    web          HTTP/1.1: reading requests within limits, writing answers
    api          what each address answers
    collection   the shards and the documents that are served, and how a worker follows what is written to them
    metrics      counters that all workers share
    report       messages on standard error
    importing    a folder to serve, from what apt_search.py keeps
"""
