import DiffusionModels
import Failures
import MessagePassing
import Synchronization

/// The networks of a model, on the ranks of a layout: what rank 0 asks for, and what the other ranks serve.
///
/// A job's sampler runs on the first rank of a replica, its driver. Rank 0 is that of the first replica; to the others it
/// gives orders.
public final class ShardedNetwork: Sendable {
    private let dealer: Dealer
    private let server: StageServer

    /// Rank 0's end, with rank 0's own stage. All other ranks `serve`.
    ///
    /// - Parameters:
    ///   - jobsInFlight: the most jobs that a replica works on at once; further ones wait.
    ///   - workers: what computes on this rank.
    ///   - observation: how the ranks are watched; the same on all.
    /// - Precondition: this is rank 0, and there are as many ranks as the layout has, or more.
    public init(
        layout: Layout, jobsInFlight: Int, communicator: any Communicator, workers: StageWorkers,
        observation: Observation = Observation()
    ) {
        precondition(communicator.rank == 0, "rank 0 deals the jobs")
        precondition(communicator.size >= layout.ranks, "the layout must be for ranks that there are")
        guard let place = layout.place(of: 0) else { preconditionFailure("every layout has a rank 0") }
        let clock = RankClock(communicator)
        let post = StagePost(communicator, clock: clock, recorder: observation.recorder)
        let dealer = Dealer(layout: layout, jobsInFlight: jobsInFlight, post: post)
        server = StageServer(
            position: ChainPosition(place, in: layout), capacity: jobsInFlight * layout.passesOfJob, post: post,
            workers: workers, fault: { dealer.fail($0) }, stopped: {})
        self.dealer = dealer
        clock.open { dealer.fail($0) }
        dealer.open()
        server.open()
        dealer.startWatch(observation)
    }

    /// What every rank but 0 does: it serves its stage until rank 0 says stop, and the first of a replica drives it. An
    /// idle rank returns at once.
    ///
    /// What a task throws goes to the job's sampler, with this rank and its machine in the message, and is thrown on
    /// rank 0. Throws only when the conversation itself fails.
    ///
    /// - Parameters:
    ///   - onNotice: hears, on one of the ranks, that rank 0 does not answer.
    ///   - take: carries out orders, where this rank is a driver.
    public static func serve(
        layout: Layout, jobsInFlight: Int, communicator: any Communicator, workers: StageWorkers,
        observation: Observation = Observation(), onNotice: @escaping @Sendable (StallNotice) -> Void = { _ in },
        take: @escaping OrderTaker
    ) async throws {
        guard let place = layout.place(of: communicator.rank) else { return }
        let end = End()
        let fault: @Sendable (Failure) -> Void = { end.resume(with: .failure($0)) }
        let clock = RankClock(communicator)
        let post = StagePost(communicator, clock: clock, recorder: observation.recorder)
        let position = ChainPosition(place, in: layout)
        let desk =
            position.driver == post.rank
            ? OrderDesk(layout: layout, replica: place.replica, post: post, fault: fault, take: take) : nil
        let server = StageServer(
            position: position, capacity: jobsInFlight * layout.passesOfJob, post: post, workers: workers,
            fault: { if let desk { desk.fail($0) } else { fault($0) } }, stopped: { end.resume(with: .success(())) })
        server.open()
        desk?.open()
        desk?.startWatch(observation)
        defer { desk?.stopWatch() }
        // Rank 0 hears of its replica's ranks by their clocks.
        if desk == nil, position.driver != 0 { post.send(.present(communicator.hostName), to: position.driver) }
        clock.open(fault: fault)
        clock.compare(tries: RankClock.tries)
        let watch = ReferenceWatch(
            rank: communicator.rank, clock: clock, observation: observation, notify: onNotice, fault: fault)
        defer { watch.stop() }
        try await end.wait()
        await desk?.endOrders()
    }

    public var layout: Layout { dealer.layout }
    /// How many jobs are worked on at once: with fewer, ranks wait for each other.
    public var jobsInFlight: Int { dealer.admission.jobsInFlight * layout.replicas }

    /// Room for a job, here or on another replica, once there is some: the emptiest replica first, and who asked first
    /// first.
    public func room() async throws -> JobRoom { try await dealer.room() }

    /// The UNet for a job with the inputs of its two branches, on the replica that rank 0 drives, once there is room for
    /// it.
    public func openJob(_ inputs: [BranchInputs]) async throws -> StagePredictor {
        try await dealer.room(on: 0).open(inputs)
    }

    /// The text encoder's states of a chunk of a prompt, `[1, tokens, width]`.
    public func embed(_ tokens: TokenChunk) async throws -> Latent { try await planes(.embed, .tokens(tokens)) }

    /// z_in of a picture `[3, H, W]` in [-1, 1].
    public func encode(_ picture: Latent) async throws -> Latent { try await planes(.encode, .planes(picture)) }

    /// The picture `[3, H, W]` about [-1, 1] of a latent.
    public func decode(_ latent: Latent) async throws -> Latent { try await planes(.decode, .planes(latent)) }

    /// What a T2I-Adapter makes of its map for each level of the UNet.
    public func features(ofAdapter number: Int, map: Latent) async throws -> [Latent] {
        guard case .made(let features) = try await dealer.work(.adapt, .shown(map, to: number)) else {
            throw Failure.internalFault(
                "a T2I-Adapter gave something else than features: are all ranks of one version?")
        }
        return features
    }

    /// What an IP-Adapter makes of a picture `[3, S, S]` in its image encoder's colours.
    public func imageTokens(ofAdapter number: Int, picture: Latent) async throws -> ImageTokens {
        guard case .made(let tokens) = try await dealer.work(.see, .shown(picture, to: number)), tokens.count == 2
        else {
            throw Failure.internalFault("an IP-Adapter gave something else than tokens: are all ranks of one version?")
        }
        return ImageTokens(tokens: tokens[0], negativeTokens: tokens[1])
    }

    private func planes(_ work: PictureWork, _ input: PictureValue) async throws -> Latent {
        guard case .planes(let planes) = try await dealer.work(work, input) else {
            throw Failure.internalFault("\(work) gave something else than it makes: are all ranks of one version?")
        }
        return planes
    }

    /// What every rank in use did so far, in the order of the ranks.
    public func reports() async throws -> [RankReport] { try await dealer.reports() }

    /// What every rank in use took down, on one clock; needs an `observation` that is traced.
    public func trace() async throws -> JobTrace { JobTrace(layout: layout, ranks: try await dealer.traces()) }

    /// Has `body` hear, once, why no rank can be asked any more, should it come to that.
    public func onFault(_ body: @escaping @Sendable (Failure) -> Void) { dealer.onFault(body) }

    /// Has `body` hear of waits that have grown long, again and again while they do, and of nil when that is over.
    public func onNotice(_ body: @escaping @Sendable (StallNotice?) -> Void) { dealer.onNotice(body) }

    /// Lets the other ranks' servers return. Nothing may be asked afterwards.
    public func stop() { dealer.stop() }
}

/// The end of a service, which comes once, before or after somebody waits for it.
private final class End: Sendable {
    private struct State {
        var result: Result<Void, any Error>?
        var waiter: CheckedContinuation<Void, any Error>?
    }

    private let state = Mutex(State())

    func resume(with result: Result<Void, any Error>) {
        let waiter = state.withLock { state -> CheckedContinuation<Void, any Error>? in
            guard state.result == nil else { return nil }
            state.result = result
            return state.waiter
        }
        waiter?.resume(with: result)
    }

    func wait() async throws {
        try await withCheckedThrowingContinuation { continuation in
            let result = state.withLock { state -> Result<Void, any Error>? in
                state.waiter = continuation
                return state.result
            }
            if let result { continuation.resume(with: result) }
        }
    }
}
