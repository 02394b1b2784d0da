%% A BEAM node's part in the figures of clusters: told "NODE COUNT" on its standard input, it pings that node and answers with how many
%% it sees as soon as it sees so many.
-module(cluster_bench).
-export([start/0]).

start() ->
    ok = net_kernel:monitor_nodes(true),
    io:format("ready ~s ~s~n", [node(), os:getpid()]),
    loop().

loop() ->
    case io:get_line("") of
        Line when is_list(Line) ->
            [Node, Count] = string:lexemes(string:trim(Line), " "),
            pong = net_adm:ping(list_to_atom(Node)),
            io:format("~w~n", [await(list_to_integer(Count))]),
            loop();
        _ -> halt()
    end.

await(Count) ->
    case length(nodes()) of
        Seen when Seen >= Count -> Seen;
        _ -> receive {nodeup, _} -> await(Count) end
    end.
