import DiffusionModels
import Failures
import Synchronization

/// What rank 0 does beside driving the first replica: it gives jobs to the replicas that have room, has pictures encoded
/// and decoded, and hears of everything.
///
/// What goes through it grows with the number of pictures: the passes of a replica are its own driver's business.
final class Dealer: Sendable {
    let layout: Layout
    /// Of the replica that this rank is a part of.
    let driver: StageDriver
    let admission: Admission
    let orders: OrderBook
    private let pictures: PictureDesk
    private let inquiry: RankInquiry
    private let notices = NoticeBoard()
    private let post: StagePost
    private let fault = FaultSign()
    private let lastJob = Atomic<UInt32>(0)
    /// When another rank last gave what was waited for, apart from passes.
    private let lastArrival = Atomic(MonotonicTime.now())
    private let watch = Mutex<StallWatch?>(nil)

    /// - Parameter jobsInFlight: the most jobs that a replica has in flight.
    init(layout: Layout, jobsInFlight: Int, post: StagePost) {
        self.layout = layout
        self.post = post
        driver = StageDriver(layout: layout, replica: 0, post: post, fault: fault)
        let admission = Admission(replicas: layout.replicas, jobsInFlight: jobsInFlight, fault: fault)
        self.admission = admission
        orders = OrderBook(layout: layout, post: post, fault: fault) { admission.leave($0) }
        pictures = PictureDesk(layout: layout, post: post, fault: fault) { admission.openJobs }
        inquiry = RankInquiry(ranks: 0..<layout.ranks, post: post, fault: fault)
    }

    /// Begins to take answers.
    func open() {
        post.openDriver({ [self] message, source, _ in receive(message, from: source) }, fault: { [self] in fail($0) })
    }

    /// Ends all that waits, now and later: the conversation itself has failed.
    func fail(_ failure: Failure) {
        let first = fault.raise(failure)
        admission.fail(first)
        driver.fail(first)
        orders.fail(first)
        pictures.fail(first)
        inquiry.fail(first)
    }

    /// Has `body` hear of the failure that ends all, once.
    func onFault(_ body: @escaping @Sendable (Failure) -> Void) { fault.onRaise(body) }

    /// Room for a job, as soon as a replica has some.
    ///
    /// - Parameter replica: the one that it must be, if it must.
    func room(on replica: Int? = nil) async throws -> JobRoom {
        let job = newJob()
        return JobRoom(self, job: job, replica: try await admission.enter(job, on: replica))
    }

    /// Has one of the networks around the UNet run, on the rank that has the least to do.
    func work(_ work: PictureWork, _ input: PictureValue) async throws -> PictureValue {
        try await pictures.work(PictureRequest(job: newJob(), work: work, number: 0), input)
    }

    /// What every rank in use did so far, in the order of the ranks.
    func reports() async throws -> [RankReport] { try await inquiry.reports() }

    /// What every rank in use took down, in the order of the ranks.
    func traces() async throws -> [RankTrace] { try await inquiry.traces() }

    private func newJob() -> JobIdentity {
        JobIdentity(number: lastJob.wrappingAdd(1, ordering: .relaxed).newValue)
    }

    // MARK: Watching

    /// Has `body` hear of waits that have grown long, and of nil when that is over.
    func onNotice(_ body: @escaping @Sendable (StallNotice?) -> Void) { notices.onNotice(body) }

    /// Begins to watch for ranks that make no progress: those of its own replica, and those that have something of this
    /// rank's.
    func startWatch(_ observation: Observation) {
        let subject = StallWatch.Subject(
            layout: layout, ownRanks: layout.ranks(ofReplica: driver.replica),
            underWay: { [weak self] in self?.underWay ?? [] },
            lastArrival: { [weak self] in
                guard let self else { return MonotonicTime.now() }
                return max(driver.lastArrival, lastArrival.load(ordering: .relaxed))
            },
            host: { [post] in post.clock.host(of: $0) }, ask: { [post] in post.send(.askState, to: $0) },
            notify: { [weak self] in self?.hear($0, from: 0) }, fail: { [weak self] in self?.fail($0) })
        let watch = StallWatch(subject, observation)
        self.watch.withLock { $0 = watch }
        watch.start()
    }

    private var underWay: [PendingWait] { driver.underWay + pictures.underWay + orders.underWay }

    private func hear(_ notice: StallNotice?, from rank: Int) {
        let openJobs = admission.openJobs
        let busy = openJobs.indices.filter { openJobs[$0] > 0 }.map { layout.driver(ofReplica: $0) }
        notices.hear(notice, from: rank, busy: busy)
    }

    /// Lets the other ranks' servers return. Nothing may be asked afterwards.
    func stop() {
        watch.withLock { $0 }?.stop()
        for rank in 0..<layout.ranks where rank != post.rank { post.send(.stop, to: rank) }
    }

    // MARK: Answers

    private func receive(_ message: StageMessage, from source: Int) {
        orders.hear(from: source)
        switch message {
        case .state(let answer): watch.withLock { $0 }?.answered(answer, from: source)
        case .notice(let notice): hear(notice, from: source)
        case .verdict(let failure): fail(failure)
        case .result, .passFailed, .jobFailed: driver.receive(message)
        default:
            lastArrival.store(MonotonicTime.now(), ordering: .relaxed)
            take(message, from: source)
        }
    }

    private func take(_ message: StageMessage, from source: Int) {
        switch message {
        case .pictureDone(let request, let value): pictures.done(request, value)
        case .pictureFailed(let request, let failure): pictures.failed(request, failure)
        case .news(let job, let bytes): orders.news(job, bytes)
        case .orderDone(let job, let bytes): orders.done(job, bytes)
        case .orderFailed(let job, let failure): orders.failed(job, failure)
        case .report(let text): inquiry.report(text, from: source)
        case .trace(let trace): inquiry.trace(trace, from: source)
        default: fail(.internalFault("rank \(source) sent rank 0 a message that is for another"))
        }
    }
}
