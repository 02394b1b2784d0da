%% The BEAM side of the test bed: a node started with `-s bed start` evaluates what it is asked to on its standard input
%% and answers on its standard output, a line each.
%%
%%   question   ID SHELL LANGUAGE LIMIT SOURCE     LANGUAGE is erl or ex, LIMIT milliseconds, SOURCE base64
%%   answer     #bed# ID ok TEXT TERM              TEXT is the value printed, TERM its external format, both base64
%%              #bed# ID failed TEXT               the exception, or where it stood when its time was over
%%   at start   #bed# ready NODE OSPID
%%
%% Whatever else stands on standard output is the node's log. A SHELL is a process that lives on from question to
%% question and keeps its bindings, so that what one expression subscribes to, a later one can receive; different shells
%% run side by side. The node halts when its standard input ends: nobody is left to ask it anything.
-module(bed).
-export([start/0, echo/0, events/0]).

start() ->
    spawn(fun reader/0),
    ok.

%% Registers `echo`, which answers `{From, Message}` with `{echo, Message}`, as `beamnode node` has it.
echo() ->
    Ready = self(),
    {Pid, Monitor} = spawn_monitor(fun() ->
        true = register(echo, self()),
        Ready ! {self(), registered},
        echo_loop()
    end),
    receive
        {Pid, registered} -> demonitor(Monitor, [flush]), Pid;
        {'DOWN', Monitor, process, Pid, Reason} -> error(Reason)
    end.

echo_loop() ->
    receive
        {From, Message} -> From ! {echo, Message};
        _ -> ok
    end,
    echo_loop().

%% Prints node events one a line, as `beamnode node` does: `nodeup NODE TYPE`, `nodedown NODE TYPE REASON`.
events() ->
    Ready = self(),
    Pid = spawn(fun() ->
        ok = net_kernel:monitor_nodes(true, [{node_type, all}, nodedown_reason]),
        Ready ! {self(), watching},
        events_loop()
    end),
    receive {Pid, watching} -> Pid end.

events_loop() ->
    receive
        {nodeup, Node, Info} ->
            io:format(user, "nodeup ~ts ~ts~n", [Node, proplists:get_value(node_type, Info)]);
        {nodedown, Node, Info} ->
            Type = proplists:get_value(node_type, Info),
            io:format(user, "nodedown ~ts ~ts ~0tp~n", [Node, Type, proplists:get_value(nodedown_reason, Info)])
    end,
    events_loop().

%%% Reading and answering

reader() ->
    answer("ready", [atom_to_list(node()), " ", os:getpid()]),
    reader(#{}).

reader(Shells) ->
    case io:get_line(user, "") of
        Line when is_list(Line); is_binary(Line) ->
            [Id, Shell, Language, Limit, Source] = string:lexemes(string:trim(unicode:characters_to_list(Line)), " "),
            Known = case Shells of
                #{Shell := _} -> Shells;
                #{} -> Shells#{Shell => spawn(fun() -> shell(start_evaluator([], []), [], []) end)}
            end,
            maps:get(Shell, Known) ! {question, Id, Language, list_to_integer(Limit), base64:decode(Source)},
            reader(Known);
        _ ->
            erlang:halt(0)
    end.

answer(Id, Text) -> io:put_chars(user, ["#bed# ", Id, " ", Text, "\n"]).

answer_value(Id, Text, Value) ->
    answer(Id, ["ok ", base64:encode(unicode:characters_to_binary(Text)), " ", base64:encode(term_to_binary(Value))]).

answer_failed(Id, Text) -> answer(Id, ["failed ", base64:encode(unicode:characters_to_binary(Text))]).

%%% A shell: an evaluator, watched; when it does not come back, it is ended and another takes over with the bindings

shell({Pid, Monitor} = Evaluator, Erlang, Elixir) ->
    receive
        {question, Id, Language, Limit, Source} ->
            Pid ! {bed_evaluate, self(), Language, Source},
            receive
                {evaluated, Pid, {ok, Text, Value}, Erlang1, Elixir1} ->
                    answer_value(Id, Text, Value),
                    shell(Evaluator, Erlang1, Elixir1);
                {evaluated, Pid, {failed, Text}, Erlang1, Elixir1} ->
                    answer_failed(Id, Text),
                    shell(Evaluator, Erlang1, Elixir1);
                {'DOWN', Monitor, process, Pid, Reason} ->
                    answer_failed(Id, io_lib:format("the evaluating process was ended: ~0tp", [Reason])),
                    shell(start_evaluator(Erlang, Elixir), Erlang, Elixir)
            after Limit ->
                Where = process_info(Pid, [current_stacktrace, messages]),
                exit(Pid, kill),
                receive {'DOWN', Monitor, process, Pid, _} -> ok end,
                receive {evaluated, Pid, _, _, _} -> ok after 0 -> ok end,
                answer_failed(Id, io_lib:format("not done after ~w ms: ~0tp", [Limit, Where])),
                shell(start_evaluator(Erlang, Elixir), Erlang, Elixir)
            end;
        {'DOWN', Monitor, process, Pid, _} ->
            shell(start_evaluator(Erlang, Elixir), Erlang, Elixir)
    end.

start_evaluator(Erlang, Elixir) -> spawn_monitor(fun() -> evaluator(Erlang, Elixir) end).

%% Takes its questions selectively: every other message is for the expressions to receive.
evaluator(Erlang, Elixir) ->
    receive
        {bed_evaluate, Shell, "erl", Source} ->
            {Result, Bindings} = attempt(fun() -> erlang_value(Source, Erlang) end, Erlang),
            Shell ! {evaluated, self(), Result, Bindings, Elixir},
            evaluator(Bindings, Elixir);
        {bed_evaluate, Shell, "ex", Source} ->
            {Result, Bindings} = attempt(fun() -> elixir_value(Source, Elixir) end, Elixir),
            Shell ! {evaluated, self(), Result, Erlang, Bindings},
            evaluator(Erlang, Bindings)
    end.

attempt(Evaluate, Bindings) ->
    try Evaluate()
    catch Class:Reason:Stack -> {{failed, io_lib:format("~tp:~0tp at ~0tp", [Class, Reason, Stack])}, Bindings}
    end.

erlang_value(Source, Bindings) ->
    Text = string:trim(unicode:characters_to_list(Source)),
    Ended = case lists:suffix(".", Text) of true -> Text; false -> Text ++ "." end,
    {ok, Tokens, _} = erl_scan:string(Ended),
    {ok, Expressions} = erl_parse:parse_exprs(Tokens),
    {value, Value, Bindings1} = erl_eval:exprs(Expressions, Bindings),
    {{ok, io_lib:format("~0tp", [Value]), Value}, Bindings1}.

elixir_value(Source, Bindings) ->
    {Value, Bindings1} = 'Elixir.Code':eval_string(Source, Bindings),
    {{ok, 'Elixir.Kernel':inspect(Value, [{limit, infinity}]), Value}, Bindings1}.
