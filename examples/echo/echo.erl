%% The Erlang half of the echo: it answers as the Rust half does, and asks.
-module(echo).
-export([start/0, ask/2]).

start() ->
    true = register(?MODULE, spawn(fun loop/0)),
    ok.

loop() ->
    receive {From, Message} -> From ! {echo, Message} end,
    loop().

ask(Node, Message) ->
    {?MODULE, Node} ! {self(), Message},
    receive {echo, Answer} -> Answer end.
