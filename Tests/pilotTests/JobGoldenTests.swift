import Foundation
import TensorKernels
import TestSupport
import Testing

/// Whole jobs against a reference in float64 on diffusers: scripts/fixtures/make_job_fixtures.py.
///
/// The limits are those of scripts/reference/compare_dumps.py: what precedes the method within 1e-4 of its largest value
/// (float32's own error is about 1e-6), losses of the first optimised step within 1e-4 of their value, latents within
/// 1 % of their standard deviation, since gradient descent lets roundings grow.
@Suite struct JobGoldenTests {
    static let jobs = [
        "sd1-border", "sd2-blob", "sd2-full", "odd-inverted", "sd1-control", "odd-controls", "sd1-t2i-adapters",
        "inpaint-t2i-adapter", "sd1-ip-adapters", "inpaint-ip-adapter", "sd1-words", "odd-words", "inpaint-pilot",
        "inpaint-baseline",
    ]

    private struct Job: Decodable {
        let model: String
        let options: [String]
    }

    @Test(arguments: jobs)
    func dumpEqualsReference(name: String) async throws {
        let folder = "\(PilotRunner.fixtures)/jobs/\(name)"
        let job = try JSONDecoder().decode(Job.self, from: Data(contentsOf: URL(filePath: "\(folder)/job.json")))
        let runner = try PilotRunner()
        let options = job.options.map { option in
            if option.hasPrefix("@control/") { return PilotRunner.controls + option.dropFirst("@control".count) }
            if option.hasPrefix("@t2i_adapter/") {
                return PilotRunner.adapters + option.dropFirst("@t2i_adapter".count)
            }
            if option.hasPrefix("@ip_adapter/") {
                return PilotRunner.imageAdapters + option.dropFirst("@ip_adapter".count)
            }
            return option.hasPrefix("@") ? "\(folder)/\(option.dropFirst())" : option
        }
        let result = try await runner.inpaint(
            [
                "--model", "\(PilotRunner.models)/\(job.model)", "--image", "\(folder)/image.png", "--mask",
                "\(folder)/mask.png", "--output", runner.path("out.png"), "--dump", runner.path("out.safetensors"),
                "--threads", "1",
            ] + options)
        #expect(result.exitCode == 0, "\(result.errors)")

        let dump = try TensorFile(runner.path("out.safetensors")).tensors
        let expected = try TensorFile("\(folder)/expected.safetensors").tensors
        let missing = Set(expected.keys).subtracting(dump.keys)
        #expect(missing.isEmpty)
        let unknown = Set(dump.keys).subtracting(expected.keys).filter { !$0.contains(".noise_") }
        #expect(unknown.isEmpty)
        let firstLoss = expected.keys.filter { $0.hasSuffix(".loss") }.min()
        for (key, reference) in expected {
            guard let found = dump[key] else { continue }
            #expect(found.shape == reference.shape, "\(key)")
            let distance = Distance(found.float32Values(), reference.float32Values())
            switch key {
            case "latent_mask": #expect(distance.largest == 0, "\(key)")
            case _ where key.hasSuffix(".image"): #expect(distance.largest < 1e-6, "\(key)")
            case _ where key.contains(".feature.") || key.hasSuffix("tokens"):
                #expect(distance.ofDeviation < 1e-3, "\(key)")
            case "image_latent", "masked_image_latent", "initial_latent", "prompt_embedding",
                "negative_prompt_embedding":
                #expect(distance.ofLargest < 1e-4, "\(key)")
            case firstLoss: #expect(distance.ofEach < 1e-4, "\(key)")
            case _ where key.hasSuffix(".loss"): break
            default: #expect(distance.ofDeviation < 0.01, "\(key)")
            }
        }
    }
}

/// How far values are from those expected; infinite for a NaN.
private struct Distance {
    let largest: Double
    let ofLargest: Double
    let ofDeviation: Double
    /// Relative to each value; values below 1e-7 of the largest are roundings, and count as that.
    let ofEach: Double

    init(_ values: [Float], _ expected: [Float]) {
        let differences = zip(values, expected).map { pair -> Double in
            let difference = abs(Double(pair.0) - Double(pair.1))
            return difference.isNaN ? .infinity : difference
        }
        let scale = expected.map { abs(Double($0)) }.max() ?? 0
        let mean = expected.reduce(0) { $0 + Double($1) } / Double(expected.count)
        let variance = expected.reduce(0) { $0 + pow(Double($1) - mean, 2) } / Double(expected.count)
        let least = max(scale * 1e-7, Double(Float.leastNormalMagnitude))
        largest = differences.max() ?? .infinity
        ofLargest = largest / max(scale, 1e-30)
        ofDeviation = largest / max(variance.squareRoot(), 1e-30)
        ofEach = zip(differences, expected).map { $0 / max(abs(Double($1)), least) }.max() ?? .infinity
    }
}
