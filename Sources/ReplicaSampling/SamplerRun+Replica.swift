import DiffusionModels
import Failures
import MessagePassing
import PilotInpainting
import ShardedRuntime

extension SamplerRun {
    /// Runs the sampler where there is room for it: here, with the ranks of this rank's own replica, or on another
    /// replica's driver, from which what it wants of the events comes, and what somebody who watches needs.
    ///
    /// - Parameter observer: the sampler waits for it only where it runs here.
    /// - Throws: as `PilotSampler.sample`, wherever it runs.
    package func sampled(in room: JobRoom, observer: @escaping PilotObserver) async throws -> SampledLatent {
        defer { room.leave() }
        guard !room.isHere else {
            let predictor = room.open(branches)
            defer { predictor.close() }
            return try await sampled(by: predictor, observer: observer)
        }
        do {
            for try await news in room.order(try encoded()) {
                switch news {
                case .news(let bytes):
                    for event in try events(bytes) { try await observer(event) }
                case .done(let bytes):
                    let result = try SampledLatent(decoding: bytes, of: self)
                    try await observer(.finalLatent(result.latent))
                    return result
                }
            }
        } catch is CancellationError {
            throw Failure(.interrupted, "interrupted")
        }
        // Without a result the news end only when this task is cancelled.
        throw Failure(.interrupted, "interrupted")
    }

    private func events(_ bytes: [UInt8]) throws -> [PilotEvent] {
        var reader = ByteReader(bytes, subject: "news of a sampler")
        let events = try reader.readEvents(of: sampler.plan)
        try reader.finish()
        return events
    }

    /// Carries out, on the driver of another replica, what `sampled(in:)` orders there.
    package static func taker(pace: ProgressPace) -> OrderTaker {
        { order, open, tell in
            let run = try SamplerRun(decoding: order)
            let news = SamplerNews(run.wants, pace: pace, tell: tell)
            return try await run.sampled(by: open(run.branches)) { news.observe($0) }.encoded
        }
    }
}
