import DiffusionModels
import Failures
import MessagePassing
import Synchronization

/// Carries out an order on the driver of a replica.
///
/// - Parameters:
///   - order: as rank 0 has written it.
///   - open: begins the job on this replica, with the inputs of its two branches; to be called once at most.
///   - tell: says how far it is, to rank 0; returns at once.
/// - Returns: what came of it, for rank 0. What it throws is thrown there.
public typealias OrderTaker =
    @Sendable (
        _ order: [UInt8], _ open: @Sendable ([BranchInputs]) -> StagePredictor,
        _ tell: @escaping @Sendable ([UInt8]) -> Void
    ) async throws -> [UInt8]

/// What the driver of a replica does whose first rank is not rank 0: it carries out rank 0's orders with the ranks of its
/// replica, and watches over these.
final class OrderDesk: Sendable {
    private struct State {
        var tasks: [JobIdentity: Task<Void, Never>] = [:]
        /// The machines of the ranks of the replica that have begun to serve.
        var hosts: [Int: String] = [:]
    }

    private let driver: StageDriver
    private let post: StagePost
    private let take: OrderTaker
    private let fault = FaultSign()
    private let watch = Mutex<StallWatch?>(nil)
    private let state = Mutex(State())

    /// - Parameter fault: called when the conversation itself fails.
    init(
        layout: Layout, replica: Int, post: StagePost, fault: @escaping @Sendable (Failure) -> Void,
        take: @escaping OrderTaker
    ) {
        self.post = post
        self.take = take
        self.fault.onRaise(fault)
        driver = StageDriver(layout: layout, replica: replica, post: post, fault: self.fault)
        state.withLock { $0.hosts[post.rank] = post.communicator.hostName }
    }

    /// Begins to take orders and answers.
    func open() {
        post.openDriver({ [self] message, source, _ in receive(message, from: source) }, fault: { [self] in fail($0) })
    }

    /// Ends all passes under way, now and later.
    func fail(_ failure: Failure) { driver.fail(fault.raise(failure)) }

    private func receive(_ message: StageMessage, from source: Int) {
        switch message {
        case .order(let job, let bytes): begin(job, bytes)
        case .cancelOrder(let job): state.withLock { $0.tasks[job] }?.cancel()
        case .present(let hostName): state.withLock { $0.hosts[source] = hostName }
        case .state(let answer): watch.withLock { $0 }?.answered(answer, from: source)
        case .result, .passFailed, .jobFailed: driver.receive(message)
        default: fail(.internalFault("rank \(source) sent the driver \(post.rank) a message that is for rank 0"))
        }
    }

    // MARK: Orders

    private func begin(_ job: JobIdentity, _ bytes: [UInt8]) {
        let isNew = state.withLock { state in
            guard state.tasks[job] == nil else { return false }
            state.tasks[job] = Task { [self] in
                let answer = await carryOut(job, bytes)
                self.state.withLock { $0.tasks[job] = nil }
                // Once all has failed, rank 0 hears why from whoever knows; that jobs end by it is no news.
                if fault.failure == nil { post.send(answer, to: ChainPosition.dealer) }
            }
            return true
        }
        if !isNew { fail(.internalFault("rank 0 has given job \(job.number) twice")) }
    }

    private func carryOut(_ job: JobIdentity, _ bytes: [UInt8]) async -> StageMessage {
        let opened = Mutex<StagePredictor?>(nil)
        // Before rank 0 hears of the end, and gives the room away.
        defer { opened.withLock { $0 }?.close() }
        do {
            let result = try await take(
                bytes,
                { [driver] inputs in
                    let predictor = driver.open(job, inputs)
                    opened.withLock { $0 = predictor }
                    return predictor
                },
                { [post] news in post.send(.news(job, news), to: ChainPosition.dealer) })
            return .orderDone(job, result)
        } catch is CancellationError {
            return .orderFailed(job, Failure(.interrupted, "interrupted"))
        } catch {
            return .orderFailed(job, error as? Failure ?? .internalFault("unexpected error: \(error)"))
        }
    }

    /// Ends what is still under way, and returns when nothing is.
    func endOrders() async {
        let tasks = state.withLock { Array($0.tasks.values) }
        for task in tasks { task.cancel() }
        for task in tasks { await task.value }
    }

    // MARK: Watching

    /// Begins to watch for ranks of the replica that make no progress; rank 0 hears of them.
    func startWatch(_ observation: Observation) {
        let subject = StallWatch.Subject(
            layout: driver.layout, ownRanks: driver.layout.ranks(ofReplica: driver.replica),
            underWay: { [weak driver] in driver?.underWay ?? [] },
            lastArrival: { [weak driver] in driver?.lastArrival ?? MonotonicTime.now() },
            host: { [weak self] rank in self?.state.withLock { $0.hosts[rank] } },
            ask: { [post] in post.send(.askState, to: $0) },
            notify: { [post] in post.send(.notice($0), to: ChainPosition.dealer) },
            fail: { [post] in post.send(.verdict($0), to: ChainPosition.dealer) })
        let watch = StallWatch(subject, observation)
        self.watch.withLock { $0 = watch }
        watch.start()
    }

    func stopWatch() { watch.withLock { $0 }?.stop() }
}
