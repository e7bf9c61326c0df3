"""Another key for everything that is stored, while imports run: what is sealed is sealed anew, what is signed is signed anew."""

from __future__ import annotations

from shared.runtime.credentials import Vault
from shared.sign_in.allowed_places import AllowedPlaces
from shared.store import Resealed, Store
from shared.store.records.cutovers import Cutovers
from shared.store.records.named_services import NamedServices
from shared.store.records.principals import Principals
from shared.store.records.sessions import BrowserSessions
from shared.store.records.targets import Targets


def rotate(
    store: Store,
    vault: Vault,
    principals: Principals,
    sessions: BrowserSessions,
    targets: Targets,
    services: NamedServices,
) -> Resealed:
    """Seals with the first key of the vault.

    What a process with the same keys writes meanwhile is sealed by that key, too. Repeated, it changes nothing for
    anybody.
    """
    total = principals.resign() + sessions.resign() + targets.resign() + services.resign()
    total += AllowedPlaces(store, vault).resign()
    for import_ in store.imports():
        total += store.reseal(import_.import_id, vault.rotate)
        total += Cutovers(store, vault).resign(import_.import_id)
    return total
