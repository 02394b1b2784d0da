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
        0 -> call(Kind, Node), caller(Kind, Node, Flag, Count + 1)
    end.

call(rpc, Node) -> true = rpc:call(Node, erlang, is_alive, []);
call(erpc, Node) -> true = erpc:call(Node, erlang, is_alive, []);
call(gen_server, Node) -> hello = gen_server:call({bench, Node}, hello, infinity).

init([]) -> {ok, []}.
handle_call(Request, _From, State) -> {reply, Request, State}.
handle_cast(_, State) -> {noreply, State}.
