import DiffusionModels
import Failures
import MessagePassing
import Synchronization

/// Has jobs computed by the stages of a layout: the end that asks, on rank 0.
///
/// A job is open from the moment a replica has room for it until it is closed; there are as many credits as jobs may be
/// in flight, and whoever asks for one too many waits, the one who asked first first. Each branch of a job has one pass
/// under way at a time, which bounds what every stage keeps.
final class StageDriver: Sendable {
    private struct State {
        var nextJob: UInt32 = 0
        var openJobs: [Int]
        var queue: [(job: JobIdentity, continuation: CheckedContinuation<Int, any Error>)] = []
        var passes: [PassIdentity: Waiter<Latent>] = [:]
        var pictures: [PictureRequest: Waiter<PictureValue>] = [:]
        var traces: [Int: CheckedContinuation<RankTrace, any Error>] = [:]
        var reports: [CheckedContinuation<String, any Error>] = []
        /// Jobs that could not begin, and why.
        var failedJobs: [JobIdentity: Failure] = [:]
        /// When a rank last gave what was waited for.
        var lastArrival = MonotonicTime.now()
        var fault: Failure?
        var faultHandlers: [@Sendable (Failure) -> Void] = []
    }

    let layout: Layout
    /// The most jobs that a replica has in flight.
    let jobsInFlight: Int
    private let pictureRanks: [Int]
    private let post: StagePost
    private let watch = Mutex<StallWatch?>(nil)
    private let noticeHandler = Mutex<(@Sendable (StallNotice?) -> Void)?>(nil)
    private let state: Mutex<State>

    /// - Parameter pictureRanks: which rank of each replica works on pictures.
    init(layout: Layout, jobsInFlight: Int, pictureRanks: [Int], post: StagePost) {
        precondition(pictureRanks.count == layout.replicas, "a rank for pictures in each replica")
        self.layout = layout
        self.jobsInFlight = jobsInFlight
        self.pictureRanks = pictureRanks
        self.post = post
        state = Mutex(State(openJobs: [Int](repeating: 0, count: layout.replicas)))
    }

    /// Begins to take answers.
    func open() {
        post.openDriver({ [self] message, source, _ in receive(message, from: source) }, fault: { [self] in fail($0) })
    }

    /// Ends all that waits, now and later: the conversation itself has failed.
    func fail(_ failure: Failure) {
        let waiting = state.withLock { state -> [() -> Void] in
            if state.fault == nil { state.fault = failure }
            defer {
                state.faultHandlers = []
                state.queue = []
                state.passes = [:]
                state.pictures = [:]
                state.reports = []
                state.traces = [:]
            }
            return state.queue.map { entry in { entry.continuation.resume(throwing: failure) } }
                + state.passes.values.map { waiter in { waiter.resume(throwing: failure) } }
                + state.pictures.values.map { waiter in { waiter.resume(throwing: failure) } }
                + state.reports.map { waiter in { waiter.resume(throwing: failure) } }
                + state.traces.values.map { waiter in { waiter.resume(throwing: failure) } }
                + state.faultHandlers.map { handler in { handler(failure) } }
        }
        for resume in waiting { resume() }
    }

    /// Has `body` hear of the failure that ends all, once.
    func onFault(_ body: @escaping @Sendable (Failure) -> Void) {
        let fault = state.withLock { state in
            if state.fault == nil { state.faultHandlers.append(body) }
            return state.fault
        }
        if let fault { body(fault) }
    }

    // MARK: Jobs

    /// Opens a job with the inputs of both branches, as soon as a replica has room for it.
    func openJob(_ inputs: [BranchInputs]) async throws -> StagePredictor {
        let job = newJob()
        let replica = try await admission(of: job)
        for branch in GuidanceBranch.allCases {
            let chain = layout.chain(of: branch, replica: replica)
            post.send(.open(job, branch, inputs[branch.rawValue]), to: chain[0])
        }
        return StagePredictor(driver: self, job: job, replica: replica)
    }

    func close(_ job: JobIdentity, replica: Int) {
        for first in firstRanks(of: replica) { post.send(.close(job), to: first) }
        let next = state.withLock { state -> (continuation: CheckedContinuation<Int, any Error>, replica: Int)? in
            state.failedJobs[job] = nil
            state.openJobs[replica] -= 1
            guard !state.queue.isEmpty else { return nil }
            state.openJobs[replica] += 1
            return (state.queue.removeFirst().continuation, replica)
        }
        next?.continuation.resume(returning: next?.replica ?? replica)
    }

    private func newJob() -> JobIdentity {
        state.withLock { state in
            state.nextJob += 1
            return JobIdentity(number: state.nextJob)
        }
    }

    /// The replica that has room for the job.
    private func admission(of job: JobIdentity) async throws -> Int {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let outcome = state.withLock { state -> Result<Int, any Error>? in
                    if let fault = state.fault { return .failure(fault) }
                    if Task.isCancelled { return .failure(CancellationError()) }
                    let emptiest = state.openJobs.indices.min { state.openJobs[$0] < state.openJobs[$1] } ?? 0
                    guard state.openJobs[emptiest] < jobsInFlight else {
                        state.queue.append((job, continuation))
                        return nil
                    }
                    state.openJobs[emptiest] += 1
                    return .success(emptiest)
                }
                if let outcome { continuation.resume(with: outcome) }
            }
        } onCancel: {
            let waiter = state.withLock { state -> CheckedContinuation<Int, any Error>? in
                guard let index = state.queue.firstIndex(where: { $0.job == job }) else { return nil }
                return state.queue.remove(at: index).continuation
            }
            waiter?.resume(throwing: CancellationError())
        }
    }

    private func firstRanks(of replica: Int) -> Set<Int> {
        Set(GuidanceBranch.allCases.map { layout.chain(of: $0, replica: replica)[0] })
    }

    // MARK: Passes

    /// Sends the latent or the gradient's seed to the top of the chain, and waits for what comes back.
    ///
    /// A pass that does not come to its end is discarded, wherever it is.
    func ask(_ pass: PassIdentity, replica: Int, _ leg: Leg, _ settings: PassSettings, _ latent: Latent) async throws
        -> Latent
    {
        do {
            let result = try await answer(to: pass, replica, leg) { [self] in
                post.send(.leg(pass, leg, settings, .latent(latent)), to: first(of: pass, replica))
            }
            guard result.height == latent.height, result.width == latent.width else {
                throw Failure.internalFault(
                    "a latent of \(latent.shape) came back as \(result.shape): are all ranks of one version?")
            }
            return result
        } catch {
            discard(pass, replica: replica)
            throw error
        }
    }

    /// Frees what a pass holds on its chain.
    func discard(_ pass: PassIdentity, replica: Int) {
        post.send(.discard(pass), to: first(of: pass, replica))
    }

    private func first(of pass: PassIdentity, _ replica: Int) -> Int {
        layout.chain(of: pass.branch, replica: replica)[0]
    }

    private func answer(to pass: PassIdentity, _ replica: Int, _ leg: Leg, _ send: () -> Void) async throws -> Latent {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let refusal = state.withLock { state -> (any Error)? in
                    if let failure = state.fault ?? state.failedJobs[pass.job] { return failure }
                    if Task.isCancelled { return CancellationError() }
                    let ranks = layout.ranks(of: pass.branch, replica: replica)
                    state.passes[pass] = Waiter(continuation, for: .leg(pass, leg), of: ranks)
                    return nil
                }
                if let refusal { continuation.resume(throwing: refusal) } else { send() }
            }
        } onCancel: {
            let waiter = state.withLock { $0.passes.removeValue(forKey: pass) }
            waiter?.resume(throwing: CancellationError())
        }
    }

    // MARK: Pictures

    /// Has one of the networks around the UNet run, on the rank that has the least to do.
    func work(_ work: PictureWork, _ input: PictureValue) async throws -> PictureValue {
        let job = newJob()
        let request = PictureRequest(job: job, work: work, number: 0)
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let admission = state.withLock { state -> Result<Int, any Error> in
                    if let fault = state.fault { return .failure(fault) }
                    if Task.isCancelled { return .failure(CancellationError()) }
                    let rank = leastLoaded(state)
                    let ranks = layout.place(of: rank).map { layout.pictureTeam(of: $0.replica) } ?? [rank]
                    state.pictures[request] = Waiter(continuation, for: request.task, of: ranks)
                    return .success(rank)
                }
                switch admission {
                case .success(let rank): post.send(.picture(request, input), to: rank)
                case .failure(let refusal): continuation.resume(throwing: refusal)
                }
            }
        } onCancel: {
            let waiter = state.withLock { $0.pictures.removeValue(forKey: request) }
            waiter?.resume(throwing: CancellationError())
        }
    }

    private func leastLoaded(_ state: State) -> Int {
        let waits = state.pictures.values.map(\.wait) + state.passes.values.map(\.wait)
        let loads = waits.reduce(into: [Int: Int]()) { loads, wait in
            for rank in wait.ranks { loads[rank, default: 0] += 1 }
        }
        return pictureRanks.min { (loads[$0] ?? 0, $0) < (loads[$1] ?? 0, $1) } ?? post.rank
    }

    // MARK: Ranks

    /// What every rank in use did so far, in the order of the ranks.
    func reports() async throws -> [RankReport] {
        var reports: [RankReport] = []
        for rank in 0..<layout.ranks {
            let text = try await withCheckedThrowingContinuation { continuation in
                let refusal = state.withLock { state -> Failure? in
                    if let fault = state.fault { return fault }
                    state.reports.append(continuation)
                    return nil
                }
                if let refusal { continuation.resume(throwing: refusal) } else { post.send(.askReport, to: rank) }
            }
            reports.append(try RankReport(encodedText: text, from: rank))
        }
        return reports
    }

    /// What every rank in use took down, in the order of the ranks.
    func traces() async throws -> [RankTrace] {
        var traces: [RankTrace] = []
        for rank in 0..<layout.ranks {
            let trace = try await withCheckedThrowingContinuation { continuation in
                let refusal = state.withLock { state -> Failure? in
                    if let fault = state.fault { return fault }
                    state.traces[rank] = continuation
                    return nil
                }
                if let refusal { continuation.resume(throwing: refusal) } else { post.send(.askTrace, to: rank) }
            }
            traces.append(trace)
        }
        return traces
    }

    /// Has `body` hear of waits that have grown long, and of nil when that is over.
    func onNotice(_ body: @escaping @Sendable (StallNotice?) -> Void) { noticeHandler.withLock { $0 = body } }

    /// Begins to watch for ranks that make no progress.
    func startWatch(_ observation: Observation) {
        let subject = StallWatch.Subject(
            layout: layout, underWay: { [weak self] in self?.underWay ?? [] },
            lastArrival: { [weak self] in self?.state.withLock { $0.lastArrival } ?? MonotonicTime.now() },
            host: { [post] in post.clock.host(of: $0) }, ask: { [post] in post.send(.askState, to: $0) },
            notify: { [weak self] in self?.noticeHandler.withLock { $0 }?($0) },
            fail: { [weak self] in self?.fail($0) })
        let watch = StallWatch(subject, observation)
        self.watch.withLock { $0 = watch }
        watch.start()
    }

    private var underWay: [(task: StageTask, ranks: [Int], since: Int64)] {
        state.withLock { state in state.passes.values.map(\.wait) + state.pictures.values.map(\.wait) }
    }

    /// Lets the other ranks' servers return. Nothing may be asked afterwards.
    func stop() {
        watch.withLock { $0 }?.stop()
        for rank in 0..<layout.ranks where rank != post.rank { post.send(.stop, to: rank) }
    }

    private func receive(_ message: StageMessage, from source: Int) {
        if case .state(let answer) = message {
            watch.withLock { $0 }?.answered(answer, from: source)
            return
        }
        state.withLock { $0.lastArrival = MonotonicTime.now() }
        switch message {
        case .result(let pass, _, let latent):
            // Nobody waits for a pass that was cancelled.
            state.withLock { $0.passes.removeValue(forKey: pass) }?.resume(returning: latent)
        case .passFailed(let pass, let failure):
            state.withLock { $0.passes.removeValue(forKey: pass) }?.resume(throwing: failure)
        case .jobFailed(let job, let failure):
            let waiters = state.withLock { state in
                state.failedJobs[job] = failure
                let passes = state.passes.keys.filter { $0.job == job }
                return passes.compactMap { state.passes.removeValue(forKey: $0) }
            }
            for waiter in waiters { waiter.resume(throwing: failure) }
        case .pictureDone(let request, let value):
            state.withLock { $0.pictures.removeValue(forKey: request) }?.resume(returning: value)
        case .pictureFailed(let request, let failure):
            state.withLock { $0.pictures.removeValue(forKey: request) }?.resume(throwing: failure)
        case .report(let text):
            state.withLock { $0.reports.isEmpty ? nil : $0.reports.removeFirst() }?.resume(returning: text)
        case .trace(let trace):
            state.withLock { $0.traces.removeValue(forKey: source) }?.resume(returning: trace)
        default:
            fail(.internalFault("rank \(source) sent a stage's message to the driver"))
        }
    }
}
