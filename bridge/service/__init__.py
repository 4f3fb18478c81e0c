"""The use cases. Each reads the store, talks to remote servers, and writes the store, in this order.

No network is used inside a transaction, and no transaction is held across an `await`.
"""
