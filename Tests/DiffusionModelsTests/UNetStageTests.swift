import DiffusionModels
import NeuralLayers
import TensorKernels
import Testing

/// A ladder that is cut gives the bits of the whole one, and each stage asks for its own weights alone.
@Suite struct UNetStageTests {
    /// Runs a pass through stages: noise and input gradient.
    private func run(
        _ stages: [UNetStage], _ input: Tensor, _ cotangent: Tensor, _ conditionings: [Conditioning],
        in context: ComputeContext
    ) throws -> (noise: [Float], gradient: [Float]) {
        let passes = zip(stages, conditionings).map { StagePass(of: $0, $1, isRecorded: true, in: context) }
        var hidden = input
        for pass in passes { hidden = try pass.down(hidden) }
        for pass in passes.reversed() { hidden = try pass.up(hidden) }
        let noise = hidden.floats
        var gradient = cotangent
        for pass in passes { gradient = try pass.upGradient(gradient) }
        for pass in passes.reversed() { gradient = try pass.downGradient(gradient) }
        return (noise, gradient.floats)
    }

    @Test(arguments: ModelFixture.names, ElementType.allCases)
    func everyCutGivesTheSameBits(model: String, elementType: ElementType) throws {
        let context = try ComputeContext(threads: 1, elementType: elementType)
        let test = try UNetCase(model, in: context)
        let whole = try test.evaluations()
        let count = test.unet.configuration.rungCount
        let cuts =
            (1..<count).map { [0..<$0, $0..<count] } + [(0..<count).map { $0..<$0 + 1 }]
            + [[0..<1, 1..<count - 1, count - 1..<count]]
        for cut in cuts {
            let cutUp = try test.evaluations(cut: cut) { try run($0, $1, $2, $3, in: context) }
            for (first, second) in zip(whole, cutUp) {
                #expect(first.noise == second.noise, "\(first.name), cut \(cut)")
                #expect(first.gradient == second.gradient, "\(first.name), cut \(cut)")
            }
        }
    }

    @Test(arguments: ModelFixture.names)
    func stagesShareOutTheWeights(model: String) throws {
        let fixture = try ModelFixture(model)
        let configuration = try fixture.folder.unetConfiguration()
        let whole = RecordingWeights()
        _ = UNetStage(configuration, weights: whole)
        var asked: [String: Int] = [:]
        for rung in 0..<configuration.rungCount {
            let recording = RecordingWeights()
            _ = UNetStage(configuration, rungs: rung..<rung + 1, weights: recording)
            for request in recording.requests { asked[request.key, default: 0] += 1 }
        }
        #expect(Set(asked.keys) == Set(whole.requests.map(\.key)))
        for (key, count) in asked {
            #expect(count == (key.hasPrefix("time_embedding.") ? configuration.rungCount : 1), "\(key)")
        }
    }

    /// What is left of the checkpoint is known to be there by its name and shape, and not read.
    @Test func aStageChecksTheRestByNameAndShape() throws {
        let fixture = try ModelFixture("sd1")
        let configuration = try fixture.folder.unetConfiguration()
        let weights = CheckpointWeights(try fixture.folder.weights(of: .unet))
        _ = UNetStage(configuration, rungs: 0..<2, weights: weights)
        #expect(throws: (any Error).self) { try weights.finish() }
        let whole = RecordingWeights()
        _ = UNetStage(configuration, weights: whole)
        weights.expect(whole.requests)
        try weights.finish()
        weights.expect([TensorRequest(key: "no.such.tensor", shape: [1])])
        #expect(throws: (any Error).self) { try weights.finish() }
    }
}
