import Failures

/// Decides what a rank does next: a value that is told what happened and answers what to do, with no clock, no queue of
/// messages and no thread of its own. The server and the simulation run it alike.
///
/// - A rank does one task at a time: gradients before forward passes, these before decoding, that before encoding, which
///   is for new jobs; then the older job's before the younger's; then whatever came first. So what frees memory comes
///   before what takes it. But forward passes and work on pictures take turns, bit by bit: pictures that are painted are
///   wanted, and new jobs must be encoded in time, or ranks that have room for them wait.
/// - A pass is kept from its first task here to its last: to the end of `up`, or of `downGradient` if it is recorded.
///   There are never more than `capacity` of them, which is what the driver's credits promise: it opens so many jobs and
///   each has one pass of a branch under way.
/// - A pass that is discarded leaves nothing behind, whatever of it is waiting, running, or on its way: what comes later
///   is dropped until the discard has been down the chain and back, for nothing can come after that.
public struct StageScheduler: Sendable {
    public enum Event: Sendable, Equatable {
        /// A task's input is here. `isRecorded`: whether a gradient of the pass will be asked for.
        case arrived(StageTask, isRecorded: Bool)
        /// The running task is done. `isOver`: whether it was all of it; pictures' work goes on bit by bit.
        case finished(StageTask, isOver: Bool)
        /// The running task threw.
        case failed(StageTask)
        /// No more of this pass is wanted.
        case discarded(PassIdentity)
        /// The discard has been to the end of the chain and back.
        case discardReturned(PassIdentity)
    }

    public enum Command: Sendable, Equatable {
        /// Start this task.
        case run(StageTask)
        /// Send what the finished task gave to whom it is for.
        case deliver(StageTask)
        /// Forget the input of this task: it will not run.
        case drop(StageTask)
        /// Let go of all that the pass holds.
        case free(PassIdentity)
    }

    private struct Waiting: Sendable {
        let task: StageTask
        let arrival: Int
    }

    /// Whether this is the end of the chain, where the way down turns round.
    private let isLast: Bool
    /// The most passes that are kept at once.
    public let capacity: Int
    private var waiting: [Waiting] = []
    public private(set) var running: StageTask?
    /// The passes that hold something here, and whether they are recorded.
    private var kept: [PassIdentity: Bool] = [:]
    /// Passes whose discard is on its way, and whether it is back already while a task of the pass still runs.
    private var discarded: [PassIdentity: Bool] = [:]
    private var arrivals = 0
    /// Whether a forward task went before work on a picture that waited, and still waits.
    private var isPictureNext = false

    public init(isLast: Bool, capacity: Int) {
        self.isLast = isLast
        self.capacity = capacity
    }

    /// How many passes hold something here.
    public var keptCount: Int { kept.count }
    /// How many tasks could run if the rank had time.
    public var waitingCount: Int { waiting.count }
    /// Discards that have not come back.
    public var openDiscards: Int { discarded.count }

    /// - Throws: an internal fault for an event that can't be: a task of an unknown pass, one task too many.
    public mutating func handle(_ event: Event) throws -> [Command] {
        var commands: [Command] = []
        switch event {
        case .arrived(let task, let isRecorded):
            if let command = try accept(task, isRecorded: isRecorded) { commands.append(command) }
        case .finished(let task, let isOver):
            try end(task)
            if let pass = task.pass, discarded[pass] != nil {
                commands.append(.drop(task))
                commands += release(pass)
                if discarded[pass] == true { discarded[pass] = nil }
            } else if isOver {
                commands.append(.deliver(task))
                if let pass = task.pass, isEnd(task) { commands += release(pass) }
            } else {
                enqueue(task)
            }
        case .failed(let task):
            try end(task)
            if let pass = task.pass {
                commands += release(pass)
                if discarded[pass] == true { discarded[pass] = nil }
            }
        case .discarded(let pass):
            commands += discard(pass)
        case .discardReturned(let pass):
            discarded[pass] = running?.pass == pass ? true : nil
        }
        if let next = start() { commands.append(.run(next)) }
        return commands
    }

    private mutating func accept(_ task: StageTask, isRecorded: Bool) throws -> Command? {
        guard case .leg(let pass, let leg) = task else {
            enqueue(task)
            return nil
        }
        if discarded[pass] != nil { return .drop(task) }
        if leg == .down {
            guard kept[pass] == nil else { throw impossible("pass \(pass.number) came down twice") }
            // One that runs to its end although it is discarded does not count.
            guard kept.keys.count(where: { discarded[$0] == nil }) < capacity else {
                throw impossible("more than \(capacity) passes are under way on one rank")
            }
            kept[pass] = isRecorded
        } else {
            // A pass that failed here is no longer kept; what is left of it is on its way to be discarded.
            guard let isRecorded = kept[pass] else { return .drop(task) }
            guard isRecorded || leg == .up else { throw impossible("a gradient of a pass that is not recorded") }
        }
        enqueue(task)
        return nil
    }

    private mutating func enqueue(_ task: StageTask) {
        arrivals += 1
        waiting.append(Waiting(task: task, arrival: arrivals))
    }

    private mutating func end(_ task: StageTask) throws {
        guard running == task else { throw impossible("a task ended that was not running") }
        running = nil
    }

    private mutating func discard(_ pass: PassIdentity) -> [Command] {
        discarded[pass] = false
        var commands: [Command] = []
        waiting.removeAll { waiting in
            guard waiting.task.pass == pass else { return false }
            commands.append(.drop(waiting.task))
            return true
        }
        // What is running ends by itself; its result is dropped then.
        return running?.pass == pass ? commands : commands + release(pass)
    }

    private mutating func release(_ pass: PassIdentity) -> [Command] {
        kept.removeValue(forKey: pass) == nil ? [] : [.free(pass)]
    }

    /// Whether nothing of the pass is left to do here.
    private func isEnd(_ task: StageTask) -> Bool {
        guard case .leg(let pass, let leg) = task else { return false }
        let isRecorded = kept[pass] ?? false
        switch leg {
        case .down: return isLast && !isRecorded
        case .up: return !isRecorded
        case .upGradient: return isLast
        case .downGradient: return true
        }
    }

    private mutating func start() -> StageTask? {
        guard running == nil, var next = first(of: waiting.indices) else { return nil }
        if let picture = first(of: waiting.indices.filter { waiting[$0].task.pass == nil }) {
            let isForward = Self.priority(waiting[next].task) == 1
            if isForward && isPictureNext { next = picture }
            if isForward || next == picture { isPictureNext = next != picture }
        }
        let task = waiting.remove(at: next).task
        running = task
        return task
    }

    private func first(of indices: some Sequence<Int>) -> Int? {
        indices.min { comesBefore(waiting[$0], waiting[$1]) }
    }

    private func comesBefore(_ first: Waiting, _ second: Waiting) -> Bool {
        let (firstClass, secondClass) = (Self.priority(first.task), Self.priority(second.task))
        if firstClass != secondClass { return firstClass < secondClass }
        if first.task.job != second.task.job { return first.task.job < second.task.job }
        return first.arrival < second.arrival
    }

    /// Lower goes first.
    private static func priority(_ task: StageTask) -> Int {
        switch task {
        case .leg(_, let leg): leg.isGradient ? 0 : 1
        case .picture(_, .decode, _): 2
        case .picture: 3
        }
    }

    private func impossible(_ what: String) -> Failure {
        .internalFault("the order of tasks is broken: \(what)")
    }
}
