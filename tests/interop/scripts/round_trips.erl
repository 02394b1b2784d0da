%% How long a message to `echo` and back takes.
-module(round_trips).
-export([compare/3]).

%% Microseconds for `Count` round trips, one at a time, to each of two nodes: the best of several turns, taken alternately, so
%% that whatever else the machine does meets both.
compare(One, Other, Count) ->
    Turns = [{measure(One, Count), measure(Other, Count)} || _ <- lists:seq(1, 8)],
    {Ones, Others} = lists:unzip(Turns),
    {lists:min(Ones), lists:min(Others)}.

measure(Node, Count) ->
    {Time, ok} = timer:tc(fun() -> turn({echo, Node}, Count) end),
    Time.

turn(_, 0) -> ok;
turn(Echo, Count) ->
    Echo ! {self(), Count},
    receive {echo, Count} -> turn(Echo, Count - 1) end.
