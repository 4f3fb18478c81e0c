"""The shapes of requests and answers, by subject. Requests are parsed by them; answers are held to theirs by the tests.

The OpenAPI document is made of both. New values may join any of the words in answers: programs have to live with ones
they don't know.
"""
