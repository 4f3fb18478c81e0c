"""The only SQL.

Every function takes a transaction (`db.Tx`) first, from `Db.read` or `Db.write`; the use case decides what is one
transaction. Functions are synchronous and short. All instants are Unix seconds, UTC.
"""
