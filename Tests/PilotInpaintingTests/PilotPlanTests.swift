import DiffusionModels
import Failures
import PilotInpainting
import Testing

@Suite struct LatentMaskTests {
    /// 6 x 6 pixels, one of them masked, on 3 x 3 cells.
    private func mask(pixel: (Int, Int), _ downsample: PilotParameters.MaskDownsample) -> [Float] {
        let pixels = (0..<36).map { $0 == pixel.0 * 6 + pixel.1 }
        return LatentMask(
            pixels: pixels, imageHeight: 6, imageWidth: 6, height: 3, width: 3, downsample: downsample
        ).values
    }

    @Test func nearestSeesOnlyTheCorner() {
        #expect(mask(pixel: (2, 4), .nearest) == [0, 0, 0, 0, 0, 1, 0, 0, 0])
        #expect(mask(pixel: (3, 4), .nearest) == [Float](repeating: 0, count: 9))
    }

    @Test func maxSeesThePixelsOfTheCell() {
        #expect(mask(pixel: (3, 5), .max) == [0, 0, 0, 0, 0, 1, 0, 0, 0])
        #expect(mask(pixel: (0, 1), .max) == [1, 0, 0, 0, 0, 0, 0, 0, 0])
    }

    @Test func emptyAndFullAreKnown() {
        let empty = LatentMask(height: 1, width: 2, isRepainted: [false, false])
        let some = LatentMask(height: 1, width: 2, isRepainted: [true, false])
        let full = LatentMask(height: 1, width: 2, isRepainted: [true, true])
        #expect(empty.isEmpty && !empty.isFull && empty.unmaskedFraction == 1)
        #expect(!some.isEmpty && !some.isFull && some.unmaskedFraction == 0.5)
        #expect(!full.isEmpty && full.isFull && full.unmaskedFraction == 0)
        #expect(some.latent == Latent(channels: 1, height: 1, width: 2, values: [1, 0]))
    }
}

@Suite struct PilotSchedulesTests {
    private func schedules(_ parameters: PilotParameters, masked: Int, of cells: Int) -> PilotSchedules {
        let mask = LatentMask(height: 64, width: cells / 64, isRepainted: (0..<cells).map { $0 < masked })
        return PilotSchedules(parameters: parameters, mask: mask, trainingTimesteps: 1000)
    }

    @Test func learningRateIsExponentialAndWarmsUp() {
        let schedules = schedules(PilotParameters(), masked: 2048, of: 4096)
        #expect(schedules.learningRate(timestep: 981, stepIndex: 0) == 0.007)
        #expect(abs(schedules.learningRate(timestep: 950, stepIndex: 1) - 0.03) < 1e-15)
        // 0.03 x 1.002^450, to six digits.
        #expect(abs(schedules.learningRate(timestep: 500, stepIndex: 5) - 0.0737218) < 1e-7)
    }

    @Test func semanticWeightFollowsTimeAreaAndSize() {
        var parameters = PilotParameters()
        let whole = 64 * 96
        // A third unmasked: area 1 in all three settings.
        let third = schedules(parameters, masked: 4096, of: whole)
        #expect(abs(third.semanticWeight(timestep: 999) - 165) < 1e-9)
        #expect(abs(third.semanticWeight(timestep: 299) - 16.5) < 1e-9)
        #expect(abs(third.semanticWeight(timestep: 300) - 16.5) < 1e-9)
        let half = schedules(parameters, masked: 2048, of: 4096)
        #expect(abs(half.semanticWeight(timestep: 999) - 110 * 2.25) < 1e-9)
        parameters.lambdaArea = .linear
        #expect(abs(schedules(parameters, masked: 2048, of: 4096).semanticWeight(timestep: 999) - 165) < 1e-9)
        parameters.lambdaArea = .constant
        #expect(abs(schedules(parameters, masked: 2048, of: 4096).semanticWeight(timestep: 999) - 110) < 1e-9)
    }
}

@Suite struct PilotParametersTests {
    @Test func presetsAreThePapers() {
        func numbers(_ preset: PilotParameters.Preset) -> [Double] {
            let p = PilotParameters(preset: preset)
            return [Double(p.steps), Double(p.optimizeEvery), Double(p.gradientSteps), p.coherence]
        }
        #expect(numbers(.paper) == [200, 10, 10, 1])
        #expect(numbers(.balanced) == [50, 5, 10, 0.5])
        #expect(numbers(.fast) == [30, 3, 3, 0.4])
        #expect(PilotParameters() == PilotParameters(preset: .balanced))
    }

    @Test func badValuesAreNamed() throws {
        try PilotParameters().validate()
        let changes: [(String, (inout PilotParameters) -> Void)] = [
            ("steps", { $0.steps = 0 }),
            ("optimize-every", { $0.optimizeEvery = 0 }),
            ("gradient-steps", { $0.gradientSteps = -1 }),
            ("coherence", { $0.coherence = 1.01 }),
            ("coherence", { $0.coherence = .nan }),
            ("guidance-scale", { $0.guidanceScale = .infinity }),
            ("learning-rate", { $0.learningRate = -0.1 }),
            ("warmup-learning-rate", { $0.warmupLearningRate = .nan }),
            ("momentum", { $0.momentum = 1 }),
            ("lambda", { $0.lambda = .nan }),
        ]
        for (name, change) in changes {
            var parameters = PilotParameters()
            change(&parameters)
            let failure = try #require(throws: Failure.self) { try parameters.validate() }
            #expect(failure.kind == .usage && failure.message.hasPrefix("\(name):"), "\(failure.message)")
        }
    }
}

@Suite struct PilotPlanTests {
    private func plan(
        _ parameters: PilotParameters, mask: [Bool], controls: [ActingTime] = [], adapters: [ActingTime] = []
    ) throws -> PilotPlan {
        let scheduler = try DDIMScheduler(SchedulerConfiguration())
        return PilotPlan(
            parameters: parameters, timesteps: try scheduler.timesteps(steps: parameters.steps),
            trainingTimesteps: scheduler.trainingTimesteps,
            mask: LatentMask(height: 1, width: mask.count, isRepainted: mask), controls: controls, adapters: adapters)
    }

    /// Of ten steps: a step acts if it begins at the start or later, and ends at the end or before.
    @Test func netsAndAdaptersActInTheirShareOfTheSteps() throws {
        var parameters = PilotParameters()
        parameters.steps = 10
        let plan = try plan(
            parameters, mask: [true, false],
            controls: [ActingTime(start: 0.15, end: 1), ActingTime(isConditionalOnly: true)],
            adapters: [ActingTime(start: 0, end: 0.55), ActingTime(start: 0.2, end: 0.8)])
        func steps(_ acts: (PilotStep) -> Bool) -> [Int] { plan.steps.filter(acts).map(\.index) }
        #expect(steps { $0.controls.contains(.one(0)) } == Array(2...9))
        #expect(steps { $0.controls(of: .unconditional).contains(.one(0)) } == Array(2...9))
        #expect(steps { $0.controls.contains(.one(1)) } == Array(0...9))
        #expect(steps { $0.controls(of: .unconditional).contains(.one(1)) } == [])
        #expect(steps { $0.adapters.contains(.one(0)) } == Array(0...4))
        #expect(steps { $0.adapters.contains(.one(1)) } == Array(2...7))
    }

    /// 50 steps: timesteps 980, 960, ..., 0; the first 25 are at 500 or above, and 5 of those are optimised.
    @Test func balancedOptimisesFiveTimesteps() throws {
        let plan = try plan(PilotParameters(), mask: [true, false])
        #expect(plan.steps.filter { $0.stage == .optimization }.map(\.index) == Array(0..<25))
        #expect(plan.steps.filter(\.isOptimized).map(\.index) == [0, 5, 10, 15, 20])
        #expect(plan.steps.allSatisfy { $0.optimizationMasking == .crossAttention })
        #expect(plan.steps.filter { $0.denoisingMasking.contains(.selfAttention) }.map(\.timestep).min() == 600)
        #expect(plan.work.forwardPasses == 100)
        #expect(plan.work.recordedForwardPasses == 100)
        #expect(plan.work.backwardPasses == 100)
        #expect(plan.work.units == 300)
        #expect(plan.fractionDone(at: plan.steps[0], gradientStepsDone: 5) == 20.0 / 300)
        #expect(plan.fractionDone(at: plan.steps[6], gradientStepsDone: 0) == 92.0 / 300)
    }

    @Test func aFullMaskNeedsNoGradientAndNoAttentionMask() throws {
        let plan = try plan(PilotParameters(), mask: [true, true])
        #expect(plan.work.units == 100)
        #expect(plan.steps.allSatisfy { $0.denoisingMasking.isEmpty && $0.optimizationMasking.isEmpty })
    }

    /// Whatever the other parameters say.
    @Test func theBaselineDenoisesAlone() throws {
        var parameters = PilotParameters(preset: .paper)
        parameters.algorithm = .inpaint
        let plan = try plan(parameters, mask: [true, false])
        #expect(plan.steps.count == 200)
        #expect(plan.steps.allSatisfy { $0.stage == .denoising && !$0.isOptimized })
        #expect(plan.steps.allSatisfy { $0.denoisingMasking.isEmpty && $0.optimizationMasking.isEmpty })
        #expect(plan.work.units == 400 && plan.work.forwardPasses == 400)
    }

    @Test func attentionMasksCanBeTurnedOff() throws {
        var parameters = PilotParameters()
        parameters.crossAttentionMask = false
        let onlySelf = try plan(parameters, mask: [true, false])
        #expect(onlySelf.steps[0].denoisingMasking == .selfAttention)
        #expect(onlySelf.steps[0].optimizationMasking.isEmpty)
        parameters.selfAttentionMask = false
        #expect(try plan(parameters, mask: [true, false]).steps.allSatisfy { $0.denoisingMasking.isEmpty })
    }
}
