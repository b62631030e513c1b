local common = require("common")
local headers = common.headers()
local pages = {}
for line in io.lines((os.getenv("BENCH_IDS"):gsub("ids.txt", "pages.txt"))) do pages[#pages + 1] = line end
math.randomseed(os.time())
request = function() return wrk.format("GET", pages[math.random(#pages)], headers) end
done = common.done
