# In the order in which to read them.
# ruff: noqa: I001
from . import parameters  # the system parameters
from . import session_store  # Odoo's session store: identifiers, finding and deleting sessions
from . import client  # the browser, the platform and the IP address of a request
from . import devices  # Odoo's own devices: the only place that knows res.device.log
from . import transaction  # work in a transaction of its own
from . import request_state  # what the addon knows about the current request
from . import op_single_session_login  # the login log: the session check, registering logins
from . import op_single_session_login_end  # ending sessions, recording ends, cleanup, the vacuum
from . import op_single_session_login_list  # display names, and why a session ended
from . import res_users  # the bypass; where Odoo asks for a session's token
from . import ir_http  # the beginning and the end of a request
from . import ir_websocket  # what a websocket may subscribe to
from . import bus_bus  # what a websocket is sent
