"""A plugin of pytest that plants a fault: whoever is a party of a case takes part in it, also after having left."""

from sqlalchemy import true

from mediation_api.repository import agreements, case_queries, sessions

for module in (agreements, case_queries, sessions):
    module.peers_visible = lambda _role: true()  # type: ignore[attr-defined] # another module's own name
