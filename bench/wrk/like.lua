local common = require("common")
local headers = common.headers("application/json")
-- Likes each event once, with alternating callers, so that no caller likes an event twice.
local events, at = {}, 0
for line in io.lines((os.getenv("BENCH_IDS"):gsub("ids.txt", "events.txt"))) do events[#events + 1] = line end
request = function()
  at = at + 1
  return wrk.format("POST", "/likes", common.next(headers), '{"event_id":"' .. events[at % #events + 1] .. '"}')
end
done = common.done
