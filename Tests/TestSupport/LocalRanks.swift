import DiffusionModels
import MessagePassing
import ShardedRuntime
import TensorKernels

/// The ranks of a layout inside this process, with a tiny model.
public struct LocalRanks: Sendable {
    public let model: StageModel
    public let layout: Layout
    /// Of each replica.
    public var jobsInFlight = 3
    public var threads = 1
    public var elementType = ElementType.float32
    /// A branch whose last stage throws bad data.
    public var failing: GuidanceBranch?
    public var observation = Observation()
    /// For tests that count messages: on a busy machine the ranks ask each other how they are.
    public static let leftAlone = {
        var observation = Observation(stallTimeout: 10_000)
        observation.longestPatience = 10_000
        return observation
    }()
    /// Called on a rank's compute thread before each of its passes.
    public var beforePass: (@Sendable (_ rank: Int) -> Void)?
    /// What carries out orders.
    public var take: OrderTaker

    public init(_ model: StageModel, _ layout: Layout) {
        self.model = model
        self.layout = layout
        take = TrialJob.taker(model.configuration)
    }

    /// Runs `body` on rank 0's network while the other ranks serve.
    public func withNetwork<Value: Sendable>(
        _ communicators: [LocalCommunicator]? = nil,
        _ body: @escaping @Sendable (ShardedNetwork) async throws -> Value
    ) async throws -> Value {
        let communicators = communicators ?? LocalCommunicator.group(of: layout.ranks)
        return try await withThrowingTaskGroup(of: Void.self) { group in
            for rank in 1..<max(layout.ranks, 1) {
                group.addTask {
                    try await ShardedNetwork.serve(
                        layout: layout, jobsInFlight: jobsInFlight, communicator: communicators[rank],
                        workers: try await workers(communicators[rank]), observation: observation, take: take)
                }
            }
            let network = ShardedNetwork(
                layout: layout, jobsInFlight: jobsInFlight, communicator: communicators[0],
                workers: try await workers(communicators[0]), observation: observation)
            let result: Result<Value, any Error>
            do { result = .success(try await body(network)) } catch { result = .failure(error) }
            network.stop()
            try await group.waitForAll()
            return try result.get()
        }
    }

    private func workers(_ communicator: LocalCommunicator) async throws -> StageWorkers {
        let rank = communicator.rank
        return try await model.workers(
            of: rank, in: layout, wires: StripWires(layout, communicator: communicator), threads: threads,
            elementType: elementType, failing: failing,
            beforePass: beforePass.map { body in { @Sendable _ in body(rank) } })
    }

    /// The messages that ranks have sent each other about jobs, by sender and receiver; not those by which they compare
    /// their clocks, whose number goes by the time. Waits until none comes any more.
    public static func messages(_ communicators: [LocalCommunicator]) async throws -> [Pair: Int] {
        var counts: [Pair: Int]?
        while true {
            let found = count(communicators)
            if found == counts { return found }
            counts = found
            try await Task.sleep(for: .milliseconds(200))
        }
    }

    private static func count(_ communicators: [LocalCommunicator]) -> [Pair: Int] {
        // To stages, and to drivers.
        let channels = MessageTag.firstFreeChannel..<MessageTag.firstFreeChannel + 2
        var counts: [Pair: Int] = [:]
        for communicator in communicators {
            for (route, count) in communicator.sentMessages where channels.contains(route.channel) {
                counts[Pair(sender: communicator.rank, receiver: route.destination), default: 0] += count
            }
        }
        return counts
    }

    public struct Pair: Hashable, Sendable {
        public let sender: Int
        public let receiver: Int
    }
}

extension [LocalRanks.Pair: Int] {
    /// How many messages two ranks have exchanged.
    public func between(_ first: Int, _ second: Int) -> Int {
        filter { [$0.key.sender, $0.key.receiver].sorted() == [first, second].sorted() }.values.reduce(0, +)
    }

    /// How many messages a rank has sent and received.
    public func of(_ rank: Int) -> Int {
        filter { $0.key.sender == rank || $0.key.receiver == rank }.values.reduce(0, +)
    }
}
