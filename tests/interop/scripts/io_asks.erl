%% Asks a device for input in every way there is, so that the answers of two devices with the same input can be compared.
-module(io_asks).
-export([same/1, answers/1, input/0, spawned/1]).

%% The answers of a device, and of a file with the same input, which an I/O server of OTP's own serves.
same(Device) ->
    Name = filename:join("/tmp", "io_asks_" ++ os:getpid()),
    ok = file:write_file(Name, unicode:characters_to_binary(input())),
    {ok, File} = file:open(Name, [read, {encoding, utf8}]),
    Expected = answers(File),
    ok = file:close(File),
    case answers(Device) of
        Expected -> same;
        Answers -> [{Question, Answer, Other} || {Question, Answer, Other} <- zip(Answers, Expected), Answer =/= Other]
    end.

zip(Answers, Expected) -> lists:zip3(lists:seq(1, length(Answers)), Answers, Expected).

input() ->
    "first line\n"
    "gr\x{fc}\x{df}e \x{2192}\n"
    "as characters\n"
    "12 34 rest\n"
    "{ok, [1, 2.5, \"text\", $c]}. more\n"
    "foo(X) ->\n  X + 1.\n"
    "binary\n"
    "1 two 3.5\n"
    "latin1\n"
    "raw line\n"
    "list of requests\n"
    "-17\nend without newline".

answers(Device) ->
    Latin1 = fun(Request) -> io:request(Device, Request) end,
    [attempt(Question) || Question <- [
        fun() -> io:get_line(Device, '') end,
        fun() -> io:get_line(Device, "prompt") end,
        fun() -> io:get_chars(Device, '', 3) end,
        fun() -> io:get_line(Device, '') end,
        fun() -> io:fread(Device, '', "~d~d") end,
        fun() -> io:get_line(Device, '') end,
        fun() -> io:read(Device, '') end,
        fun() -> io:get_line(Device, '') end,
        fun() -> io:parse_erl_form(Device, '') end,
        fun() -> io:get_line(Device, '') end,
        fun() -> io:setopts(Device, [binary]) end,
        fun() -> proplists:get_value(binary, io:getopts(Device)) end,
        fun() -> io:get_line(Device, '') end,
        fun() -> io:setopts(Device, [list]) end,
        fun() -> io:fread(Device, '', "~u ~s~f") end,
        fun() -> Latin1({get_line, ''}) end,
        fun() -> Latin1({get_line, latin1, ''}) end,
        fun() -> io:requests(Device, [{setopts, [{binary, true}]}, {get_line, unicode, ''}]) end,
        fun() -> io:setopts(Device, [{binary, false}]) end,
        fun() -> io:fread(Device, '', "~d") end,
        fun() -> io:get_chars(Device, '', 100) end,
        fun() -> io:get_line(Device, '') end,
        fun() -> io:get_chars(Device, '', 1) end,
        fun() -> io:fread(Device, '', "~d") end,
        fun() -> io:read(Device, '') end]].

attempt(Question) ->
    try Question() catch Class:Reason -> {Class, Reason} end.

%% Run by a spawned process, whose group leader it asks.
spawned(To) -> To ! {answers, answers(group_leader())}.
