from . import bus_bus, ir_http, login_session, login_session_administration, res_users
