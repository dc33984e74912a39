from . import bus_bus, ir_http, ir_websocket, login_session, login_session_administration, res_users
