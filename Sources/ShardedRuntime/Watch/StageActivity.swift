/// What a rank says when it is asked what it is at.
package struct StageState: Sendable, Equatable {
    /// The task that runs, and for how many seconds.
    package var running: Moment?
    /// The task that ended last, and how many seconds ago.
    package var finished: Moment?
    /// The rank that was given what the last task made.
    package var destination: Int?
    /// The rank of another strip that the running task waits for.
    package var awaited: Int?
    /// How many tasks could run if the rank had time.
    package var waitingCount = 0

    package init() {}

    package struct Moment: Sendable, Equatable {
        let task: StageTask
        let seconds: Double

        package init(task: StageTask, seconds: Double) {
            self.task = task
            self.seconds = seconds
        }
    }
}

/// Keeps an eye on what a rank's compute thread is at, for whoever asks.
struct StageActivity {
    /// What runs on a rank that has no scheduler of its own.
    private var followed: StageTask?
    private var runningSince: Int64?
    private var finished: (task: StageTask, time: Int64)?

    /// Takes down what the scheduler was told, and what it has run since.
    mutating func note(_ event: StageScheduler.Event, running: StageTask?) {
        switch event {
        case .finished(let task, _), .failed(let task):
            finished = (task, MonotonicTime.now())
            runningSince = nil
        default: break
        }
        if running != nil, runningSince == nil { runningSince = MonotonicTime.now() }
    }

    /// Takes down what a rank begins that is told what to do.
    mutating func begin(_ task: StageTask) {
        followed = task
        runningSince = MonotonicTime.now()
    }

    /// Takes down its end.
    mutating func end(_ task: StageTask) {
        followed = nil
        runningSince = nil
        finished = (task, MonotonicTime.now())
    }

    /// - Parameter awaited: the rank of another strip that the running task waits for.
    func state(_ scheduler: StageScheduler, at position: ChainPosition, awaited: Int? = nil) -> StageState {
        let now = MonotonicTime.now()
        var state = StageState()
        state.waitingCount = scheduler.waitingCount
        state.awaited = awaited
        if let task = scheduler.running ?? followed, let runningSince {
            state.running = StageState.Moment(task: task, seconds: MonotonicTime.seconds(now - runningSince))
        }
        if let finished {
            state.finished = StageState.Moment(
                task: finished.task, seconds: MonotonicTime.seconds(now - finished.time))
            state.destination = position.destination(of: finished.task)
        }
        return state
    }
}

extension ChainPosition {
    /// The rank that gets what a task here makes.
    func destination(of task: StageTask) -> Int {
        guard case .leg(_, let leg) = task else { return Self.dealer }
        let goesDown = leg == .down || leg == .upGradient
        return (goesDown ? below : nil) ?? above ?? driver
    }
}
