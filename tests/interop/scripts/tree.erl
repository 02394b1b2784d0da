%% A supervisor of OTP, and what is seen of one, so that one of ours can be told from it. What names a child's start function is left out.
-module(tree).
-behaviour(supervisor).
-export([start/0, init/1, idle/0, seen/1, log/2, reports/0, view/2]).

%% Starts one under the name of this module, and keeps what supervisors report here.
start() ->
    Starter = self(),
    Keeper = spawn(fun() -> true = register(tree_reports, self()), Starter ! {self(), ready}, keep([]) end),
    receive {Keeper, ready} -> ok end,
    ok = logger:set_module_level(supervisor, debug),
    ok = logger:add_handler(tree, ?MODULE, #{}),
    Holder = spawn(fun() ->
        {ok, _} = supervisor:start_link({local, ?MODULE}, ?MODULE, []),
        Starter ! {self(), ready},
        receive never -> ok end
    end),
    receive {Holder, ready} -> ok end.

init([]) ->
    Child = fun(Id) -> #{id => Id, start => {?MODULE, idle, []}} end,
    {ok, {#{strategy => rest_for_one, intensity => 3, period => 60},
        [Child(one), Child(two), (Child(three))#{restart => transient, shutdown => brutal_kill}, (Child(four))#{restart => temporary, shutdown => infinity}]}}.

idle() -> {ok, spawn_link(fun() -> receive never -> ok end end)}.

log(#{msg := {report, #{label := {supervisor, _}} = Report}}, _) -> catch tree_reports ! {report, Report};
log(_, _) -> ok.

keep(Reports) ->
    receive
        {report, #{report := [{supervisor, {local, ?MODULE}} | _]} = Report} -> keep([Report | Reports]);
        {report, _} -> keep(Reports);
        {get, From} -> From ! {tree_reports, lists:reverse(Reports)}, keep(Reports)
    end.

reports() ->
    tree_reports ! {get, self()},
    receive {tree_reports, Reports} -> Reports end.

%% What is seen of a supervisor that was just started, from whatever node, and done to it until it gives up.
seen(S) ->
    [
        which(S),
        supervisor:count_children(S),
        [spec(supervisor:get_childspec(S, Id)) || Id <- [one, two, three, four, nobody]],
        state(sys:get_state(S)),
        status(sys:get_status(S)),
        {ok = sys:suspend(S), suspended(sys:get_status(S)), element(1, element(2, catch gen_server:call(S, which_children, 50))), sys:resume(S)},
        supervisor:start_child(S, nonsense),
        {supervisor:restart_child(S, two), supervisor:restart_child(S, nobody), supervisor:delete_child(S, two), supervisor:delete_child(S, nobody),
            supervisor:terminate_child(S, nobody)},
        %% Those that were started after it go with it.
        killed(S, two),
        {supervisor:terminate_child(S, three), which(S), supervisor:count_children(S), tag(supervisor:restart_child(S, three)), which(S)},
        {supervisor:terminate_child(S, four), which(S), supervisor:count_children(S)},
        %% A transient one that ends as it should is not started again.
        ended(S, three, normal),
        {supervisor:delete_child(S, three), which(S)},
        killed(S, one),
        state(sys:get_state(S)),
        given_up(S)
    ].

which(S) -> [{Id, kind(Pid), Type} || {Id, Pid, Type, _} <- supervisor:which_children(S)].

kind(Pid) when is_pid(Pid) -> pid;
kind(Other) -> Other.

tag({ok, Pid}) when is_pid(Pid) -> {ok, pid};
tag(Other) -> Other.

spec({ok, Spec}) -> {ok, maps:without([start, modules, significant], Spec)};
spec(Other) -> Other.

state({ok, State}) -> state(State);
state(State) ->
    [state, Name, Strategy, {Ids, Children}, Dynamics, Intensity, Period, Restarts | _] = tuple_to_list(State),
    {Name, Strategy, Ids, [{Id, element(1, Child), kind(element(2, Child)), element(3, Child)} || {Id, Child} <- lists:sort(maps:to_list(Children))],
        Dynamics, Intensity, Period, [is_integer(Restart) || Restart <- Restarts]}.

status({status, Pid, Module, [Dictionary, System, Parent, Debug, [Header, {data, Data}, {data, [{"State", State}]} | _]]}) ->
    {kind(Pid), Module, element(1, proplists:get_value('$initial_call', Dictionary)), System, kind(Parent), Debug, Header,
        [{Name, case Name of "Parent" -> kind(Value); _ -> Value end} || {Name, Value} <- Data], state(State)}.

suspended({status, _, _, [_, System | _]}) -> System.

pids(S) -> [{Id, Pid} || {Id, Pid, _, _} <- supervisor:which_children(S)].

%% Kills a child, and waits until another is in its place: which are others now.
killed(S, Id) ->
    Before = pids(S),
    exit(proplists:get_value(Id, Before), kill),
    After = await(S, fun(Pids) -> Pid = proplists:get_value(Id, Pids), is_pid(Pid) andalso Pid =/= proplists:get_value(Id, Before) end),
    [{Name, Pid =:= proplists:get_value(Name, After)} || {Name, Pid} <- Before].

ended(S, Id, Reason) ->
    Pid = proplists:get_value(Id, pids(S)),
    Monitor = monitor(process, Pid),
    exit(Pid, case Reason of normal -> shutdown; _ -> Reason end),
    receive {'DOWN', Monitor, process, Pid, _} -> ok end,
    await(S, fun(Pids) -> proplists:get_value(Id, Pids) =:= undefined end),
    which(S).

await(S, Fits) ->
    Pids = pids(S),
    case Fits(Pids) of
        true -> Pids;
        false -> receive after 5 -> await(S, Fits) end
    end.

%% Kills children until the supervisor has had enough: its end and theirs.
given_up(S) ->
    Monitor = monitor(process, S),
    kill_on(S, Monitor, []).

kill_on(S, Monitor, Seen) ->
    Children = try pids(S) catch exit:_ -> [] end,
    [exit(Pid, kill) || {one, Pid} <- Children, is_pid(Pid)],
    receive
        {'DOWN', Monitor, process, _, Reason} ->
            Ends = [begin M = monitor(process, Pid), receive {'DOWN', M, process, Pid, _} -> ended end end || {_, Pid} <- Children ++ Seen, is_pid(Pid)],
            {Reason, lists:usort(Ends)}
    after 20 -> kill_on(S, Monitor, Children ++ Seen)
    end.

%% What reports say, but for the pids and what starts a child.
view(Reports, Release) ->
    [view_one(Report, Release) || Report <- Reports].

view_one(#{label := Label, report := Report}, Release) ->
    {Label, [case Part of
        {Name, Child} when Name =:= started; Name =:= offender ->
            {Name, [case Key of
                pid -> {pid, kind(Value)};
                mfargs -> mfargs;
                _ -> {Key, Value}
            end || {Key, Value} <- Child, Key =/= significant orelse Release > 23]};
        _ -> Part
    end || Part <- Report]}.
