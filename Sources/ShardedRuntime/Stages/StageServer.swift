import DiffusionModels
import Failures
import MessagePassing
import Synchronization
import TensorKernels

/// Where a rank stands in its chain of stages.
struct ChainPosition: Sendable {
    /// The rank of the stage above; nil at the top, whose results go to the driver.
    let above: Int?
    /// The rank of the stage below; nil where the way down turns round.
    let below: Int?
    /// The rank that runs the replica's samplers.
    let driver: Int
    /// The rank that has pictures encoded and decoded.
    static let dealer = 0
    /// The ranks of the stage's other strips, which do what this one does; none where this is not the first.
    let followers: [Int]
    /// Whether this is a strip that does what the first one says.
    let follows: Bool
    /// The same of the ranks that encode and decode a picture together.
    let pictureFollowers: [Int]
    let followsPictures: Bool

    init(_ place: Layout.Place, in layout: Layout) {
        func rank(_ stage: Int) -> Int {
            layout.rank(of: Layout.Place(replica: place.replica, chain: place.chain, stage: stage))
        }
        follows = place.strip > 0
        followers = follows ? [] : Array(layout.ranksOfStrips(at: place).dropFirst())
        let team = layout.pictureTeam(of: place.replica)
        let own = layout.rank(of: place)
        pictureFollowers = team.first == own ? Array(team.dropFirst()) : []
        followsPictures = team.dropFirst().contains(own)
        above = place.stage > 0 ? rank(place.stage - 1) : nil
        below = place.stage + 1 < layout.stages.count ? rank(place.stage + 1) : nil
        driver = layout.driver(ofReplica: place.replica)
    }
}

/// A rank's stage at work: takes messages, has the scheduler decide, computes on the rank's one compute thread, and
/// sends what came of it.
final class StageServer: Sendable {
    private struct State {
        var scheduler: StageScheduler
        var inputs: [StageTask: TaskInput] = [:]
        var activity = StageActivity()
    }

    private let position: ChainPosition
    private let post: StagePost
    private let thread: DedicatedThread
    private let wires: StripWires
    private let bench: StageBench
    private let state: Mutex<State>
    private let fault: @Sendable (Failure) -> Void
    private let stopped: @Sendable () -> Void

    /// - Parameters:
    ///   - capacity: the most passes that may be under way here.
    ///   - fault: called when the conversation itself fails.
    ///   - stopped: called when the driver ends the service.
    init(
        position: ChainPosition, capacity: Int, post: StagePost, workers: StageWorkers,
        fault: @escaping @Sendable (Failure) -> Void, stopped: @escaping @Sendable () -> Void
    ) {
        self.position = position
        self.post = post
        thread = workers.thread
        wires = workers.wires
        func teller(_ ranks: [Int]) -> ((StageMessage) -> Void)? {
            ranks.isEmpty ? nil : { message in for rank in ranks { post.send(message, to: rank) } }
        }
        bench = StageBench(
            workers, recorder: post.recorder, tell: teller(position.followers),
            tellOfPictures: teller(position.pictureFollowers))
        state = Mutex(State(scheduler: StageScheduler(isLast: position.below == nil, capacity: capacity)))
        self.fault = fault
        self.stopped = stopped
    }

    /// Begins to serve.
    func open() {
        post.openStage({ [self] in receive($0, from: $1, sent: $2) }, fault: fault)
    }

    private func receive(_ message: StageMessage, from source: Int, sent: Int64?) {
        if follow(message, sent: sent) { return }
        switch message {
        case .open(let job, let branch, let inputs):
            passOn(.open(job, branch, bench.passedOn(inputs)), to: position.below)
            onBench { [self] bench in
                do { try bench.open(job, branch, inputs) } catch { tell(.jobFailed(job, located(error))) }
            }
        case .leg(let pass, let leg, let settings, let value):
            let task = StageTask.leg(pass, leg)
            handle(
                .arrived(task, isRecorded: settings.isRecorded), input: TaskInput(.stage(value), settings, sent: sent))
        case .discard(let pass):
            handle(.discarded(pass))
            // It goes on from the thread that sends results, behind the one that may be on its way out: what came behind
            // a discard would be taken for a new pass.
            onBench { [self] _ in
                if position.below == nil { discardReturned(pass) } else { passOn(message, to: position.below) }
            }
        case .discardReturned(let pass):
            discardReturned(pass)
        case .close(let job):
            passOn(message, to: position.below)
            onBench { bench in bench.close(job) }
        case .picture(let request, let value):
            handle(.arrived(request.task, isRecorded: false), input: TaskInput(.picture(value), nil, sent: sent))
        case .askReport:
            onBench { [self] bench in report(bench, to: source) }
        case .askState:
            let own = state.withLock { $0.activity.state($0.scheduler, at: position, awaited: wires.awaited) }
            post.send(.state(own), to: source)
        case .askTrace:
            post.clock.compare(tries: RankClock.tries) { [post] in post.send(.trace(RankTrace(post)), to: source) }
        case .stop:
            stopped()
        default:
            fault(.internalFault("rank \(source) sent a driver's message to a stage"))
        }
    }

    /// What a strip that is not the first does: what the first one did, in the same order.
    ///
    /// - Returns: false for a message that is no part of that.
    private func follow(_ message: StageMessage, sent: Int64?) -> Bool {
        switch message {
        case .picture, .pictureBit: guard position.followsPictures else { return false }
        default: guard position.follows else { return false }
        }
        switch message {
        case .open(let job, let branch, let inputs): onBenchOrFault { try $0.open(job, branch, inputs) }
        case .leg(let pass, let leg, let settings, let value):
            follow(.leg(pass, leg), TaskInput(.stage(value), settings, sent: sent))
        case .picture(let request, let value):
            follow(request.task, TaskInput(.picture(value), nil, sent: sent))
        case .pictureBit(let request): follow(request.task, nil)
        case .discard(let pass): onBench { $0.free(pass) }
        case .close(let job): onBench { $0.close(job) }
        default: return false
        }
        return true
    }

    private func follow(_ task: StageTask, _ input: TaskInput?) {
        onBenchOrFault { [self] bench in
            state.withLock { $0.activity.begin(task) }
            defer { state.withLock { $0.activity.end(task) } }
            _ = try bench.run(task, input)
        }
    }

    /// A strip that fails leaves the others waiting, so the job ends with it.
    private func onBenchOrFault(_ body: @escaping @Sendable (StageBench) throws -> Void) {
        onBench { [self] bench in
            do { try body(bench) } catch { fault(located(error)) }
        }
    }

    private func passOn(_ message: StageMessage, to rank: Int?) {
        if let rank { post.send(message, to: rank) }
    }

    private func tell(_ message: StageMessage) { post.send(message, to: position.driver) }

    private func tellDealer(_ message: StageMessage) { post.send(message, to: ChainPosition.dealer) }

    private func discardReturned(_ pass: PassIdentity) {
        handle(.discardReturned(pass))
        passOn(.discardReturned(pass), to: position.above)
    }

    /// Has the scheduler decide, and carries out all but `deliver`, which only a task's end brings.
    ///
    /// - Returns: whether the event's task is to be delivered.
    @discardableResult
    private func handle(_ event: StageScheduler.Event, input: TaskInput? = nil) -> Bool {
        do {
            return try state.withLock { state in
                if case .arrived(let task, _) = event { state.inputs[task] = input }
                let commands = try state.scheduler.handle(event)
                state.activity.note(event, running: state.scheduler.running)
                return carryOut(commands, &state)
            }
        } catch {
            fault(located(error))
            return false
        }
    }

    private func carryOut(_ commands: [StageScheduler.Command], _ state: inout State) -> Bool {
        var delivers = false
        for command in commands {
            switch command {
            case .deliver: delivers = true
            case .drop(let task): state.inputs[task] = nil
            case .free(let pass): onBench { bench in bench.free(pass) }
            case .run(let task):
                // Work on a picture that goes on has its input already.
                let input = state.inputs.removeValue(forKey: task)
                onBench { [self] bench in run(task, input, on: bench) }
            }
        }
        return delivers
    }

    private func onBench(_ body: @escaping @Sendable (StageBench) -> Void) {
        thread.enqueue { [bench] in body(bench) }
    }

    private func run(_ task: StageTask, _ input: TaskInput?, on bench: StageBench) {
        do {
            switch try bench.run(task, input) {
            case .stage(let value, let settings):
                // What comes next is decided before the result leaves, and started after.
                if handle(.finished(task, isOver: true)) { deliver(task, value, settings) }
            case .picture(nil):
                handle(.finished(task, isOver: false))
            case .picture(.some(let value)):
                if handle(.finished(task, isOver: true)) { deliver(task, value) }
            }
        } catch {
            handle(.failed(task))
            if isFollowed(task) { fault(located(error)) }
            fail(task, located(error))
        }
    }

    /// Whether others do the same task, and would wait for this rank.
    private func isFollowed(_ task: StageTask) -> Bool {
        switch task {
        case .leg: !position.followers.isEmpty
        case .picture: !position.pictureFollowers.isEmpty
        }
    }

    private func deliver(_ task: StageTask, _ value: StageValue, _ settings: PassSettings) {
        guard case .leg(let pass, let leg) = task else { return }
        let goesDown = (leg == .down || leg == .upGradient) && position.below != nil
        if goesDown, let below = position.below {
            post.send(.leg(pass, leg, settings, value), to: below)
        } else if let above = position.above {
            post.send(.leg(pass, leg.isGradient ? .downGradient : .up, settings, value), to: above)
        } else if case .latent(let latent) = value {
            tell(.result(pass, isGradient: leg.isGradient, latent))
        } else {
            tell(.passFailed(pass, .internalFault("the ladder's top gave a hidden state")))
        }
    }

    private func deliver(_ task: StageTask, _ value: PictureValue) {
        guard case .picture(let job, let work, let number) = task else { return }
        tellDealer(.pictureDone(PictureRequest(job: job, work: work, number: number), value))
    }

    private func fail(_ task: StageTask, _ failure: Failure) {
        switch task {
        case .leg(let pass, _): tell(.passFailed(pass, failure))
        case .picture(let job, let work, let number):
            tellDealer(.pictureFailed(PictureRequest(job: job, work: work, number: number), failure))
        }
    }

    private func report(_ bench: StageBench, to rank: Int) {
        let communicator = post.communicator
        var traffic = communicator.traffic
        traffic.sentBytes += wires.sharedBytes
        let report = RankReport(
            rank: communicator.rank, hostName: communicator.hostName, times: bench.times, traffic: traffic,
            keptPullbacks: bench.passCount, memory: .current())
        do {
            post.send(.report(try report.encodedText()), to: rank)
        } catch {
            fault(located(error))
        }
    }

    /// Rank 0's own failures need no address: they are said where they happened.
    private func located(_ error: any Error) -> Failure {
        let failure = error as? Failure ?? .internalFault("unexpected error: \(error)")
        guard post.rank != 0 else { return failure }
        let place = "rank \(post.rank) on \(post.communicator.hostName)"
        return Failure(failure.kind, "\(place): \(failure.message)")
    }
}

/// What a task starts from.
struct TaskInput: Sendable {
    enum Value: Sendable {
        case stage(StageValue)
        case picture(PictureValue)
    }

    let value: Value
    let settings: PassSettings?
    /// When it was sent here, by this rank's clock, as far as it is known.
    let sent: Int64?

    init(_ value: Value, _ settings: PassSettings?, sent: Int64?) {
        self.value = value
        self.settings = settings
        self.sent = sent
    }
}
