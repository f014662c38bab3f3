"""An independent verifier of Prova's evidence: the Python standard library, no network.

It shares no code with the Go verifier and gives the same answers, check by check.
"""
