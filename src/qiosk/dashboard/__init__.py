"""The dashboard: pages that show a server's jobs in a browser, and change them.

Jinja2 renders every page on the server, and nothing about a tab is kept there. What changes is fetched again by htmx
when a server-sent event says that there is something new; see :mod:`qiosk.dashboard.live`.
"""

from qiosk.dashboard.app import create_dashboard

__all__ = ["create_dashboard"]
