"""Ray clusters, as a server and a solve use them: how to connect, and which versions their nodes have."""
