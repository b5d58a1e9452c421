import Failures
import Synchronization

/// What the driver of another replica says of an order, in bytes that only whoever wrote them reads.
public enum OrderNews: Sendable, Equatable {
    /// How far it is.
    case news([UInt8])
    /// What came of it, which comes last.
    case done([UInt8])
}

/// The orders that the drivers of other replicas carry out.
final class OrderBook: Sendable {
    typealias News = AsyncThrowingStream<OrderNews, any Error>

    private struct Order {
        let replica: Int
        let since: Int64
        let news: News.Continuation
        var isCancelled = false
    }

    private struct State {
        var orders: [JobIdentity: Order] = [:]
        /// When each driver last said anything.
        var heard: [Int: Int64] = [:]
    }

    private let layout: Layout
    private let post: StagePost
    private let fault: FaultSign
    /// Hears that a job has left its replica.
    private let left: @Sendable (_ replica: Int) -> Void
    private let state = Mutex(State())

    init(layout: Layout, post: StagePost, fault: FaultSign, left: @escaping @Sendable (_ replica: Int) -> Void) {
        self.layout = layout
        self.post = post
        self.fault = fault
        self.left = left
    }

    /// What is waited for: a word from each driver that has an order, whatever it is.
    var underWay: [PendingWait] {
        state.withLock { state in
            state.orders.map { job, order in
                let driver = layout.driver(ofReplica: order.replica)
                return PendingWait(
                    subject: .order(job), ranks: [driver], since: max(order.since, state.heard[driver] ?? order.since))
            }
        }
    }

    /// Gives a job to the driver of a replica that has room for it, and tells what is heard of it.
    func give(_ job: JobIdentity, to replica: Int, _ bytes: [UInt8]) -> News {
        let (stream, continuation) = News.makeStream()
        let refusal = state.withLock { state -> Failure? in
            if let failure = fault.failure { return failure }
            state.orders[job] = Order(replica: replica, since: MonotonicTime.now(), news: continuation)
            return nil
        }
        if let refusal {
            continuation.finish(throwing: refusal)
        } else {
            post.send(.order(job, bytes), to: layout.driver(ofReplica: replica))
        }
        return stream
    }

    /// Nobody wants to hear of a job any more. Its room is free when its driver says so.
    func cancel(_ job: JobIdentity) {
        let replica = state.withLock { state -> Int? in
            guard let order = state.orders[job], !order.isCancelled else { return nil }
            state.orders[job]?.isCancelled = true
            return order.replica
        }
        if let replica { post.send(.cancelOrder(job), to: layout.driver(ofReplica: replica)) }
    }

    /// Takes down that a rank is there.
    func hear(from rank: Int) {
        let now = MonotonicTime.now()
        state.withLock { $0.heard[rank] = now }
    }

    func news(_ job: JobIdentity, _ bytes: [UInt8]) {
        state.withLock { $0.orders[job]?.news }?.yield(.news(bytes))
    }

    func done(_ job: JobIdentity, _ bytes: [UInt8]) {
        guard let order = take(job) else { return }
        order.news.yield(.done(bytes))
        order.news.finish()
        left(order.replica)
    }

    func failed(_ job: JobIdentity, _ failure: Failure) {
        guard let order = take(job) else { return }
        order.news.finish(throwing: failure)
        left(order.replica)
    }

    func fail(_ failure: Failure) {
        let orders = state.withLock { state in
            defer { state.orders = [:] }
            return state.orders
        }
        for order in orders.values { order.news.finish(throwing: failure) }
    }

    private func take(_ job: JobIdentity) -> Order? { state.withLock { $0.orders.removeValue(forKey: job) } }
}
