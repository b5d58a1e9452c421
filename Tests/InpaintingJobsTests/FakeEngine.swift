import DiffusionModels
import Failures
import Foundation
import InpaintingJobs
import PilotInpainting
import Synchronization

/// A machine that computes something small and different for every job, after delays that nobody can foresee, and
/// counts what it is asked.
final class FakeEngine: InpaintingEngine {
    struct Counts {
        var runs = 0
        var finished = 0
        var inFlight = 0
        var mostInFlight = 0
        /// The most that were in flight when a picture was to be decoded.
        var mostAtDecoding = 0
    }

    let jobsInFlight: Int
    let layout = "a fake"
    private let model: ModelDescription
    private let slowest: Double
    /// Called before a picture is decoded, with how many were before.
    private let beforeDecoding: @Sendable (Int) throws -> Void
    private let state = Mutex(Counts())
    private let decoded = Atomic(0)

    /// - Parameter slowest: the longest time that an evaluation takes, in seconds.
    init(
        _ model: ModelDescription, jobsInFlight: Int, slowest: Double = 0.002,
        beforeDecoding: @escaping @Sendable (Int) throws -> Void = { _ in }
    ) {
        self.model = model
        self.jobsInFlight = jobsInFlight
        self.slowest = slowest
        self.beforeDecoding = beforeDecoding
    }

    var counts: Counts { state.withLock { $0 } }

    func embed(_ chunks: [TokenChunk]) async throws -> [Embedding] {
        let width = model.textConfiguration.hiddenSize
        return chunks.map { chunk in
            Embedding(
                values: chunk.ids.flatMap { id in (0..<width).map { Float((Int(id) + $0) % 97) / 97 } },
                tokens: chunk.ids.count, width: width)
        }
    }

    func encode(_ planes: [Float], height: Int, width: Int) async throws -> Latent {
        let (rows, columns, factor) = (height / model.factor, width / model.factor, model.factor)
        let values = (0..<4).flatMap { channel in
            (0..<rows * columns).map { cell in
                planes[
                    channel % 3 * height * width + cell / columns * factor * width + cell % columns * factor]
            }
        }
        return Latent(channels: 4, height: rows, width: columns, values: values)
    }

    func features(ofAdapter number: Int, map: Latent) async throws -> [Latent] {
        [Latent(repeating: Float(number), channels: 1, height: 1, width: 1)]
    }

    func imageTokens(ofAdapter number: Int, picture: Latent) async throws -> ImageTokens {
        let tokens = Latent(repeating: Float(number), channels: 1, height: 1, width: 1)
        return ImageTokens(tokens: tokens, negativeTokens: tokens)
    }

    func decode(_ latents: [Latent]) async throws -> [[Float]] {
        state.withLock { $0.mostAtDecoding = max($0.mostAtDecoding, $0.inFlight) }
        try beforeDecoding(decoded.add(1, ordering: .relaxed).oldValue)
        return latents.map { latent in
            let (height, width, factor) = (latent.height * model.factor, latent.width * model.factor, model.factor)
            return (0..<3).flatMap { channel in
                (0..<height * width).map { pixel in
                    let cell = pixel / width / factor * latent.width + pixel % width / factor
                    return max(-1, min(1, latent.values[channel * latent.planeCount + cell] / 4))
                }
            }
        }
    }

    func sample(_ run: SamplerRun, observer: @escaping PilotObserver) async throws -> SampledLatent {
        state.withLock { counts in
            counts.runs += 1
            counts.inFlight += 1
            counts.mostInFlight = max(counts.mostInFlight, counts.inFlight)
        }
        defer {
            state.withLock { counts in
                counts.finished += 1
                counts.inFlight -= 1
            }
        }
        return try await run.sampled(
            by: FakePredictor(inputs: run.branches, slowest: slowest), observer: observer)
    }
}

/// noise = sin(z + a) with an a of the branch's prompt.
struct FakePredictor: NoisePredictor {
    let inputs: [BranchInputs]
    let slowest: Double

    func noise(_ evaluation: Evaluation) async throws -> Latent {
        try await Task.sleep(for: .seconds(Double.random(in: 0...slowest)))
        return evaluate(sin, evaluation)
    }

    func noiseWithPullback(
        _ evaluation: Evaluation
    ) async throws -> (noise: Latent, pullback: @Sendable (Latent) async throws -> Latent) {
        let noise = try await noise(evaluation)
        let slope = evaluate(cos, evaluation)
        return (
            noise,
            { seed in
                var gradient = seed
                for index in gradient.values.indices { gradient.values[index] *= slope.values[index] }
                return gradient
            }
        )
    }

    private func evaluate(_ function: (Float) -> Float, _ evaluation: Evaluation) -> Latent {
        let latent = evaluation.latent
        let embedding = inputs[evaluation.branch.rawValue].embedding
        let shift = embedding.reduce(0, +) / Float(max(1, embedding.count))
        var result = latent
        for index in result.values.indices { result.values[index] = function(latent.values[index] + shift) }
        return result
    }
}
