local common = require("common")
local ids, headers = common.ids(), common.headers()
math.randomseed(os.time())
request = function() return wrk.format("GET", "/institutions/" .. ids[math.random(#ids)], headers) end
done = common.done
