from . import login_session
from . import res_users
