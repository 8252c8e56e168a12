-- What wrk does not print by itself: how many requests it sent, and how many were answered 200. Arguments: a file, from
-- whose appearance on nothing new is sent, so that none is in flight when wrk stops; and the milliseconds between two
-- requests of a connection. For one thread: wrk gives each a Lua of its own.

sent = -1 -- wrk makes one request before it starts, to look at it
answered = 0
refused = 0

local thread, stop, pause, looked, stopping

function setup(only) thread = only end

function init(arguments) stop, pause = arguments[1], tonumber(arguments[2]) end

function request()
  sent = sent + 1
  return wrk.format()
end

function response(status)
  if status == 200 then answered = answered + 1 else refused = refused + 1 end
end

function delay() -- milliseconds before the next request of a connection
  if os.time() ~= looked then
    looked = os.time()
    local file = io.open(stop)
    stopping = file ~= nil
    if file then file:close() end
  end
  return stopping and 3600000 or pause
end

function done(summary)
  local errors = summary.errors
  print(string.format(
    'counted: {"sent": %d, "answered": %d, "status": %d, "connect": %d, "read": %d, "write": %d, "timeout": %d}',
    thread:get("sent"), thread:get("answered"), thread:get("refused"),
    errors.connect, errors.read, errors.write, errors.timeout))
end
