from . import ir_http, login_session, res_users
