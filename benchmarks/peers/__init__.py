"""Other libraries, each at the best settings known for it, behind one interface.

Nothing but searching is on a peer's clock: models are built before, and where a library's Python layer converts the
model anew in every call, its compiled core is called directly, as that layer does. So a peer is shown faster than its
users see it, never slower.
"""
