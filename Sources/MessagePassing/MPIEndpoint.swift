import COpenMPI
import Failures
import Glibc
import Synchronization

/// This process's end of MPI: one thread that makes all of MPI's calls, from initialising to finalising.
///
/// The thread looks for work and messages, and sleeps in between until it is given work or hears the doorbell: 20 us at
/// first, and longer when nothing happens; up to 1 ms, or 10 ms when every other rank has shown that it can ring. A
/// blocking receive of Open MPI would keep a core busy, which ranks that share cores can't afford. Only while bytes are on
/// their way it does not sleep, for a few milliseconds at a time: MPI moves them only when it is called.
final class MPIEndpoint: Sendable {
    private struct Orders {
        var sends: [SendOrder] = []
        var isLeaving = false
        var hasEnded = false
        /// The doorbells of the ranks on this machine.
        var bells: [Int: String] = [:]
        /// Whether a rank has rung since the thread last looked, and which ones ever did.
        var hasRung = false
        var callers: Set<Int> = []
    }

    /// What the endpoint reports, on its own thread; none may block.
    struct Events: Sendable {
        let control: @Sendable (ControlMessage, _ source: Int) -> Void
        /// MPI itself failed; no message can be sent any more.
        let fault: @Sendable (Failure) -> Void
        /// MPI was finalised.
        let finalised: @Sendable () -> Void
    }

    /// How long unfinished sending may hold up the end of the job.
    private static let flushLimit = Duration.seconds(1)

    private static let jobHasEnded = Failure.internalFault("the job has ended: nothing is sent or received any more")

    let rank: Int
    let size: Int
    let hostName: String
    let mailbox = Mailbox()
    let traffic = Mutex(Traffic())
    /// Nil when the system has none.
    let doorbell = Doorbell()
    private let thread: DedicatedThread
    private let orders = Monitor(Orders())
    /// MPI's handle is a pointer that only the endpoint's thread uses.
    private nonisolated(unsafe) let communicator: MPI_Comm

    private init(thread: DedicatedThread, start: Start) {
        self.thread = thread
        rank = start.rank
        size = start.size
        hostName = start.hostName
        communicator = start.communicator
    }

    /// Initialises MPI on a thread of its own.
    static func start() async throws -> MPIEndpoint {
        let thread = try DedicatedThread(name: "mpi", stackBytes: 16 << 20)
        let start = try await thread.run { try Start() }
        return MPIEndpoint(thread: thread, start: start)
    }

    /// Begins to exchange messages; nothing is delivered before, so that no event is missed.
    func open(_ events: Events) {
        doorbell?.listen { [orders, size] rank in
            // Others than ranks can ring: whoever finds the name.
            guard rank < size else { return }
            orders.change { orders in
                orders.hasRung = true
                orders.callers.insert(rank)
            }
        }
        thread.enqueue { [self] in serve(events) }
    }

    /// Sends a message; once the job ends, only what is said about its end.
    func enqueue(_ order: SendOrder) {
        let isAccepted = orders.change { orders in
            guard !orders.hasEnded, !orders.isLeaving || order.tag == .control else { return false }
            orders.sends.append(order)
            return true
        }
        if !isAccepted {
            order.completion(.failure(Self.jobHasEnded))
        }
    }

    /// From now on, ranks of this machine are rung when something was sent to them; they are rung at once, so that they
    /// know it.
    func know(_ directory: RankDirectory) {
        let bells = directory.neighbours(of: rank).map { ($0.rank, $0.doorbell) }
        orders.withLock { $0.bells = Dictionary(uniqueKeysWithValues: bells).compactMapValues { $0 } }
        for (_, bell) in bells { if let bell { doorbell?.ring(bell, from: rank) } }
    }

    /// Finalises MPI as soon as what it was given is sent. What still waits its turn is not sent: no one is left to
    /// use it when the ranks leave.
    func leave() {
        orders.change { $0.isLeaving = true }
    }

    private func serve(_ events: Events) {
        let exchange = MPIExchange(
            communicator: communicator, size: size, call: MPICall(rank: rank, hostName: hostName))
        do {
            try exchangeUntilLeaving(exchange, events)
            var handle: MPI_Comm? = communicator
            try MPICall(rank: rank, hostName: hostName).check(pilot_mpi_finalize(&handle), "finalising MPI")
            close(exchange, with: Self.jobHasEnded)
            events.finalised()
        } catch {
            let failure = Failure(wrapping: error)
            close(exchange, with: failure)
            events.fault(failure)
        }
    }

    private func exchangeUntilLeaving(_ exchange: MPIExchange, _ events: Events) throws {
        var rest = Rest()
        var leavingSince: ContinuousClock.Instant?
        while true {
            let isAlreadyLeaving = leavingSince != nil
            if let limit = rest.limit(duringTransfer: exchange.hasTransfers) {
                _ = orders.wait(atMost: limit) { orders in
                    orders.hasRung || !orders.sends.isEmpty || (orders.isLeaving && !isAlreadyLeaving) ? true : nil
                }
            } else {
                sched_yield()
            }
            let news = orders.withLock { orders in
                defer {
                    orders.sends = []
                    orders.hasRung = false
                }
                return orders
            }
            for order in news.sends { try exchange.send(order) }
            ring(exchange.takeDestinations(), news.bells)
            let hasMoved = try exchange.progress { try arrived($0, events) }
            ring(exchange.takeDestinations(), news.bells)
            rest.othersRing = news.callers.count >= size - 1
            rest.note(hasMoved: hasMoved || news.hasRung || !news.sends.isEmpty)
            guard news.isLeaving else { continue }
            if leavingSince == nil { exchange.abandonWaiting(with: Self.jobHasEnded) }
            let since = leavingSince ?? .now
            leavingSince = since
            if !exchange.hasSends || ContinuousClock.now - since > Self.flushLimit { return }
        }
    }

    private func ring(_ destinations: Set<Int>, _ bells: [Int: String]) {
        for destination in destinations {
            if let bell = bells[destination] { doorbell?.ring(bell, from: rank) }
        }
    }

    private func arrived(_ message: Message, _ events: Events) throws {
        traffic.withLock { $0.countReceived(message.byteCount) }
        if message.tag == .control {
            events.control(try ControlMessage(decoding: message.head, from: message.source), message.source)
        } else {
            mailbox.deliver(message)
        }
    }

    private func close(_ exchange: MPIExchange, with error: any Error) {
        let unsent = orders.change { orders in
            orders.hasEnded = true
            defer { orders.sends = [] }
            return orders.sends
        }
        for order in unsent { order.completion(.failure(error)) }
        exchange.fail(with: error)
        mailbox.close(with: error)
    }
}

/// How long the endpoint's thread may sleep until it looks again.
private struct Rest {
    private static let shortest = Duration.microseconds(20)
    private static let longest = Duration.milliseconds(1)
    private static let longestWithRings = Duration.milliseconds(10)
    private static let longestDuringTransfer = Duration.microseconds(100)
    /// How long transfers that do not come to an end may keep the thread from sleeping: time for megabytes through
    /// shared memory. Slower networks fill their buffers during the short sleeps that follow.
    private static let wakefulness = Duration.milliseconds(5)

    /// Whether all other ranks ring when they have sent something.
    var othersRing = false
    private var sleep = shortest
    private var lastMovement = ContinuousClock.now

    mutating func note(hasMoved: Bool) {
        let longer = othersRing ? min(sleep * 2, Self.longestWithRings) : min(sleep * 1.25, Self.longest)
        sleep = hasMoved ? Self.shortest : longer
        if hasMoved { lastMovement = .now }
    }

    /// Nil when there is no time to sleep.
    func limit(duringTransfer: Bool) -> Duration? {
        guard duringTransfer else { return sleep }
        guard ContinuousClock.now - lastMovement > Self.wakefulness else { return nil }
        return min(sleep, Self.longestDuringTransfer)
    }
}

/// What initialising MPI gives.
private struct Start: @unchecked Sendable {
    let communicator: MPI_Comm
    let rank: Int
    let size: Int
    let hostName: String

    init() throws {
        var handle: MPI_Comm?
        var takesTurns: Int32 = 0
        let code = pilot_mpi_start(&handle, &takesTurns)
        hostName = systemHostName()
        guard code == MPI_SUCCESS, let handle else {
            throw Failure.internalFault("MPI could not be initialised on \(hostName): \(MPICall.text(of: code))")
        }
        guard takesTurns != 0 else {
            throw Failure.internalFault("MPI on \(hostName) was built without threads (MPI_THREAD_SERIALIZED)")
        }
        communicator = handle
        var rank: Int32 = 0
        var size: Int32 = 0
        MPI_Comm_rank(handle, &rank)
        MPI_Comm_size(handle, &size)
        self.rank = Int(rank)
        self.size = Int(size)
    }
}
