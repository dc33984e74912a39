from . import login_session, res_users
