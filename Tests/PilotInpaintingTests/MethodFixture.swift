import DiffusionModels
import Foundation
import PilotInpainting

/// Losses and whole runs of an independent implementation (scripts/fixtures/make_method_fixtures.py).
struct MethodFixture: Decodable {
    struct LossCase: Decodable {
        let image, unconditional, conditional, mask: [Float]
        let weight: Double
        let loss: [Double]
        let seedUnconditional, seedConditional: [Float]
    }

    struct Step: Decodable {
        let timestep: Int
        let latent: [Float]
        let loss: [[Double]]?
        let optimized, reconstruction, noiseUnconditional, noiseConditional: [Float]?
    }

    struct Run: Decodable {
        let name: String
        let config: SchedulerConfiguration
        let parameters: PilotParameters
        let rectangle: [Int]
        let imageIndex: Int
        let mask, image, initial: [Float]
        let givesInitial: Bool
        let steps: [Step]
        let final: [Float]
    }

    let losses: [LossCase]
    let runs: [Run]

    static func load() throws -> MethodFixture {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("Fixtures/method.json")
        return try JSONDecoder().decode(MethodFixture.self, from: Data(contentsOf: file))
    }
}

extension MethodFixture.Run {
    var latentMask: LatentMask {
        let pixels = (0..<32 * 24).map { index in
            (rectangle[0]..<rectangle[1]).contains(index / 24) && (rectangle[2]..<rectangle[3]).contains(index % 24)
        }
        return LatentMask(
            pixels: pixels, imageHeight: 32, imageWidth: 24, height: 4, width: 3,
            downsample: parameters.maskDownsample)
    }

    func sampler() throws -> PilotSampler {
        try PilotSampler(
            parameters: parameters, scheduler: DDIMScheduler(config), mask: latentMask, imageLatent: latent(image))
    }

    func latent(_ values: [Float]) -> Latent { Latent(channels: 4, height: 4, width: 3, values: values) }
}

/// The largest difference, relative to the root mean square of what is expected.
func difference(_ found: Latent, _ expected: [Float]) -> Float {
    guard found.values.count == expected.count else { return .infinity }
    let square = expected.reduce(0) { $0 + $1 * $1 } / Float(expected.count)
    let largest = zip(found.values, expected).map { abs($0 - $1) }.max() ?? .infinity
    return largest == 0 ? 0 : largest / square.squareRoot()
}
