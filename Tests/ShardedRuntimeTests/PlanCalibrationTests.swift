import DiffusionModels
import Failures
import Foundation
import NeuralLayers
import ShardedRuntime
import TensorKernels
import TestSupport
import Testing

/// What turns operations into seconds, and its file.
@Suite struct PlanCalibrationTests {
    private static let good = Calibration.builtIn

    private func json() throws -> [String: Any] {
        var calibration = Self.good
        calibration.machine = "here"
        let object = try JSONSerialization.jsonObject(with: CalibrationFile.encode(calibration))
        return try #require(object as? [String: Any])
    }

    private func decode(_ object: Any) throws -> Calibration {
        try CalibrationFile.decode(JSONSerialization.data(withJSONObject: object), file: "c.json")
    }

    @Test func readsWhatItWrites() throws {
        var calibration = Self.good
        calibration.machine = "here"
        let folder = NSTemporaryDirectory() + "calibration-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try CalibrationFile.write(calibration, to: "\(folder)/deeper/c.json")
        #expect(try CalibrationFile.read("\(folder)/deeper/c.json").calibration == calibration)
        let missing = #expect(throws: Failure.self) { try CalibrationFile.read("\(folder)/none.json") }
        #expect(missing?.kind == .missingInput)
    }

    @Test func isKeptInTheCache() {
        #expect(CalibrationFile.defaultPath(in: ["HOME": "/h"]) == "/h/.cache/pilot-mpi/calibration.json")
        #expect(
            CalibrationFile.defaultPath(in: ["HOME": "/h", "XDG_CACHE_HOME": "/x"]) == "/x/pilot-mpi/calibration.json")
        #expect(
            CalibrationFile.defaultPath(in: ["HOME": "/h", "XDG_CACHE_HOME": "x"])
                == "/h/.cache/pilot-mpi/calibration.json")
    }

    /// A key, what it is set to, and what the message names.
    @Test(arguments: [
        ("version", "99", "version: expected 1"), ("version", "\"1\"", "version"),
        ("task_overhead", "-1", "task_overhead"), ("task_overhead", "null", "task_overhead"),
        ("node", "{\"latency\": 1e-6, \"bandwidth\": 0}", "node.bandwidth"),
        ("node", "{\"latency\": 1}", "node.bandwidth"),
        ("speeds", "[]", "speeds"), ("speeds", "[{}]", "speeds[0]."),
        ("machine", "[]", "machine"),
    ])
    func damagedFilesAreRefusedByKey(key: String, value: String, words: String) throws {
        var object = try json()
        object[key] = try JSONSerialization.jsonObject(with: Data(value.utf8), options: .fragmentsAllowed)
        let failure = #expect(throws: Failure.self) { try decode(object) }
        #expect(failure?.kind == .badData)
        let message = try #require(failure).message
        #expect(message.contains("c.json") && message.contains(words), "\(message)")
    }

    @Test(arguments: ["", "{", "[]", "7", "{\"version\": 1}"])
    func otherFilesAreRefused(text: String) {
        #expect(throws: Failure.self) { try CalibrationFile.decode(Data(text.utf8), file: "c.json") }
    }

    @Test func laddersOfUnequalLegsAreRefused() throws {
        var calibration = Self.good
        calibration.speeds[0].ladders = [
            Calibration.MeasuredLadder(
                operations: 1, parameters: 1, down: [1], up: [1, 2], upGradient: [1], downGradient: [1])
        ]
        let data = try CalibrationFile.encode(calibration)
        let failure = #expect(throws: Failure.self) { try CalibrationFile.decode(data, file: "c.json") }
        #expect(try #require(failure).message.contains("speeds[0].ladders[0]"))
    }

    @Test func moreThreadsAreAsMuchFaster() {
        let (one, isExact) = Self.good.speed(.float32, threads: 1)
        let (four, isScaled) = Self.good.speed(.float32, threads: 4)
        #expect(isExact && !isScaled)
        #expect(abs(one.network.convolution / four.network.convolution - 4) < 1e-12)
        #expect(Self.good.speed(.bfloat16, threads: nil).speed.elementType == "bfloat16")
    }

    @Test func mergingKeepsOtherLadders() {
        var calibration = Self.good
        func measured(_ operations: Double, _ seconds: Double) -> Calibration.Speed {
            var speed = Self.good.speeds[0]
            speed.ladders = [
                Calibration.MeasuredLadder(
                    operations: operations, parameters: 1, down: [seconds], up: [0], upGradient: [0], downGradient: [0])
            ]
            return speed
        }
        for (operations, seconds) in [(1.0, 1.0), (2, 2), (1, 3)] { calibration.merge(measured(operations, seconds)) }
        #expect(calibration.speeds.count == Self.good.speeds.count)
        #expect(calibration.speeds[0].ladders.map(\.down) == [[2], [3]])
    }

    /// The rates that made the times are found again.
    @Test func ratesAreFitted() throws {
        let costs = PlanCosts.of(.sd15, side: 256)
        let truth = Calibration.Rates(convolution: 1e-11, linear: 2e-11, attention: 4e-11, weight: 3e-10)
        let last = costs.rungCount - 1
        func legs(_ work: (Int) -> Work) -> [Double] { (0...last).map { truth.seconds(work($0)) } }
        func withMiddle(_ work: Work, _ rung: Int) -> Work { rung == last ? work + costs.middle : work }
        let ladder = Calibration.MeasuredLadder(
            operations: costs.total.doneOperations, parameters: costs.total.parameters,
            down: legs { withMiddle(costs.rungs[$0].down, $0) }, up: legs { costs.rungs[$0].up },
            upGradient: legs { withMiddle(costs.rungs[$0].up, $0).ofGradient },
            downGradient: legs { costs.rungs[$0].down.ofGradient })
        let run = CalibrationRun(costs, in: try ComputeContext(threads: 1)) { rungs in
            UNetStage(ModelArchitecture.sd15.unet, rungs: rungs, weights: RecordingWeights())
        }
        let found = run.rates(ladder)
        let pairs = [
            (found.convolution, truth.convolution), (found.linear, truth.linear), (found.attention, truth.attention),
            (found.weight, truth.weight),
        ]
        for (found, truth) in pairs { #expect(abs(found / truth - 1) < 0.02, "\(found) for \(truth)") }
    }

    /// Legs that were measured are taken as they are, for that model and size alone.
    @Test func measuredLegsAreTaken() throws {
        let costs = PlanCosts.of(.sd15, side: 256)
        let rungs = 0..<costs.rungCount
        var speed = Self.good.speeds[0]
        speed.ladders = [
            Calibration.MeasuredLadder(
                operations: costs.total.doneOperations, parameters: costs.total.parameters,
                down: rungs.map { Double($0 + 1) }, up: rungs.map { Double(2 * $0 + 1) },
                upGradient: rungs.map { _ in 5 },
                downGradient: rungs.map { _ in 7 })
        ]
        let known = TaskTimes(costs, speed)
        #expect(known.areMeasured)
        #expect(known.seconds(of: .down, on: 0..<3) == 6)
        #expect(known.seconds(of: .up, on: 0..<3) == 9)
        #expect(known.seconds(of: .down, on: 10..<12) == 23 + 44)
        #expect(known.seconds(of: .upGradient, on: 10..<12) == 24 && known.seconds(of: .downGradient, on: 10..<12) == 0)
        #expect(!TaskTimes(PlanCosts.of(.sd15, side: 512), speed).areMeasured)
        #expect(!TaskTimes(costs, Self.good.speeds[0]).areMeasured)
    }

    /// On a real network: every leg takes time, and the fit gives back about what was measured.
    @Test func measuresATinyNetwork() throws {
        let fixture = try StageModel(fixture: "sd1")
        let costs = LadderCosts(
            unet: fixture.configuration, autoencoder: try fixture.folder.vaeConfiguration(),
            textEncoder: try fixture.folder.textEncoderConfiguration(), latent: (9, 7), tokens: 7,
            elementType: .float32)
        let context = try ComputeContext(threads: 1)
        let run = CalibrationRun(costs, in: context) { rungs in
            UNetStage(
                fixture.configuration, rungs: rungs, weights: CheckpointWeights(try fixture.folder.weights(of: .unet)))
        }
        let ladder = try run.ladder()
        let legs = [ladder.down, ladder.up, ladder.upGradient, ladder.downGradient]
        #expect(legs.allSatisfy { $0.count == costs.rungCount && $0.allSatisfy { $0 > 0 } })
        let rates = run.rates(ladder)
        #expect(rates.seconds(costs.total) > 0)
        var speed = Self.good.speeds[0]
        speed.ladders = [ladder]
        #expect(TaskTimes(costs, speed).areMeasured)
    }
}
