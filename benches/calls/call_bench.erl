%% A BEAM node's part in the figures of calls: it serves, and calls as it is told on its standard input, a line each:
%%   KIND NODE CALLERS MILLISECONDS
%% which it answers with how many calls came back.
-module(call_bench).
-behaviour(gen_server).
-export([start/0, caller/4]).
-export([init/1, handle_call/3, handle_cast/2]).

start() ->
    {ok, _} = gen_server:start({local, bench}, ?MODULE, [], []),
    io:format("ready ~s ~s~n", [node(), os:getpid()]),
    loop().

loop() ->
    case io:get_line("") of
        Line when is_list(Line) ->
            [Kind, Node, Callers, Time] = string:lexemes(string:trim(Line), " "),
            pong = net_adm:ping(list_to_atom(Node)),
            io:format("~w~n", [run(list_to_atom(Kind), list_to_atom(Node), list_to_integer(Callers), list_to_integer(Time))]),
            loop();
        _ -> halt()
    end.

run(Kind, Node, Callers, Time) ->
    Me = self(),
    Flag = atomics:new(1, []),
    Pids = [spawn_link(fun() -> Me ! {self(), caller(Kind, Node, Flag, 0)} end) || _ <- lists:seq(1, Callers)],
    timer:sleep(Time),
    atomics:put(Flag, 1, 1),
    lists:sum([receive {Pid, Count} -> Count end || Pid <- Pids]).

caller(Kind, Node, Flag, Count) ->
    case atomics:get(Flag, 1) of
        1 -> Count;
        0 -> caller(Kind, Node, Flag, Count + call(Kind, Node))
    end.

%% Does it, and says how often.
call(rpc, Node) -> true = rpc:call(Node, erlang, is_alive, []), 1;
call(erpc, Node) -> true = erpc:call(Node, erlang, is_alive, []), 1;
call(gen_server, Node) -> hello = gen_server:call({bench, Node}, hello, infinity), 1;
call(spawn, Node) ->
    Request = spawn_request(Node, erlang, is_alive, [], [{reply, yes}]),
    receive {spawn_reply, Request, ok, _} -> 1 end;
call(monitor, Node) ->
    many(Node, fun(Pid) -> erlang:demonitor(erlang:monitor(process, Pid)) end);
call(link, Node) ->
    many(Node, fun(Pid) -> link(Pid), unlink(Pid) end).

%% What is not answered: many of it, and then a call, which is there when all of it is.
many(Node, Do) ->
    Pid = case get(Node) of
        undefined -> Found = rpc:call(Node, erlang, whereis, [bench]), put(Node, Found), Found;
        Known -> Known
    end,
    [Do(Pid) || _ <- lists:seq(1, 100)],
    hello = gen_server:call(Pid, hello, infinity),
    100.

init([]) -> {ok, []}.
handle_call(Request, _From, State) -> {reply, Request, State}.
handle_cast(_, State) -> {noreply, State}.
