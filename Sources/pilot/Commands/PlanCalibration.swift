import DiffusionModels
import Failures
import Foundation
import InpaintingJobs
import MessagePassing
import NeuralLayers
import ShardedRuntime
import TensorKernels

/// The model and size of a plan.
struct PlanSubject: Sendable {
    let name: String
    let description: ModelDescription
    let geometry: JobGeometry
    let costs: LadderCosts

    /// What the ranks of a layout send, without ControlNets and adapters.
    func traffic(of layout: Layout) throws -> PassTraffic {
        try PassTraffic(
            description.unetConfiguration, layout, latent: (geometry.latentHeight, geometry.latentWidth),
            tokens: description.textConfiguration.maximumPositions, elementType: costs.elementType)
    }
}

/// `pilot plan --calibrate`: times the UNet's own rungs at the size, a decoding, and ranks beside each other.
struct PlanCalibration {
    let subject: PlanSubject
    /// Of a rank.
    let threads: Int

    /// A decoding is timed at no more pixels: its operations grow with them and its speed does not.
    private static let mostDecodedSide = 256
    /// So many ranks beside each other tell how they slow each other down.
    private static let mostNeighbours = 8

    /// - Parameter path: the file to write; the default one if nil. What it holds for other formats and numbers of
    ///   threads stays.
    func run(writingTo path: String?) throws {
        let path = path ?? CalibrationFile.defaultPath()
        var calibration = Calibration.builtIn
        if FileManager.default.fileExists(atPath: path) { calibration = try CalibrationFile.read(path).calibration }
        try CalibrationFile.checkWritable(path)
        let speed = try measuredSpeed()
        if calibration.machine == nil { calibration.speeds = [] }
        calibration.machine = Self.machine()
        calibration.merge(speed)
        try CalibrationFile.write(calibration, to: path)
        let pass = subject.costs.total.operations / speed.ladders[0].forwardSeconds / 1e9
        try Console.print(
            "\(path): \(subject.name) at \(subject.geometry.picture), \(subject.costs.elementType.rawValue), "
                + "\(Console.count(threads, "thread")): "
                + String(
                    format: "%.3f s a pass (%.0f GFLOP/s), %.3f s its gradient; %.1f %% slower for each rank beside",
                    speed.ladders[0].forwardSeconds, pass, speed.ladders[0].gradientSeconds,
                    100 * speed.slowdownPerNeighbour))
    }

    private func measuredSpeed() throws -> Calibration.Speed {
        let context = try ComputeContext(threads: threads, elementType: subject.costs.elementType)
        let run = CalibrationRun(subject.costs, in: context) { try subject.description.unet(rungs: $0) }
        let ladder = try run.ladder { rung in
            Console.note("rung \(rung + 1) of \(subject.costs.rungCount)")
        }
        return Calibration.Speed(
            elementType: subject.costs.elementType.rawValue, backend: BackendName.oneDNN.rawValue, threads: threads,
            network: run.rates(ladder), pictures: try pictureRates(context), ladders: [ladder],
            slowdownPerNeighbour: try slowdown(alone: ladder))
    }

    private func pictureRates(_ context: ComputeContext) throws -> Calibration.Rates {
        Console.note("a decoding")
        let autoencoder = try subject.description.autoencoder()
        let factor = subject.description.factor
        let side = { (pixels: Int) in max(1, min(pixels, Self.mostDecodedSide) / factor) }
        let picture = subject.geometry.picture
        let (height, width) = (side(picture.height), side(picture.width))
        let channels = autoencoder.configuration.latentChannels
        let latent = Latent(channels: channels, height: height, width: width)
        let exact = context.with(elementType: .float32)
        var least = Double.infinity
        for _ in 0..<2 {
            let start = ContinuousClock.now
            _ = try autoencoder.decode(latent, in: exact)
            least = min(least, (ContinuousClock.now - start).inSeconds)
        }
        let costs = LadderCosts(
            unet: subject.description.unetConfiguration, autoencoder: subject.description.vaeConfiguration,
            textEncoder: subject.description.textConfiguration, latent: (height, width),
            tokens: subject.description.textConfiguration.maximumPositions, elementType: .float32)
        return CalibrationRun.pictureRates(decodingSeconds: least, costs)
    }

    /// How much slower the ladder is for each further rank that computes it at the same time.
    private func slowdown(alone: Calibration.MeasuredLadder) throws -> Double {
        let neighbours = min(Self.mostNeighbours, RankCores.current().count / threads)
        guard neighbours > 1 else { return 0 }
        Console.note("\(neighbours) ranks beside each other")
        let subject = subject
        let threads = threads
        let measured = try neighbouring(neighbours) {
            let context = try ComputeContext(threads: threads, elementType: subject.costs.elementType)
            let run = CalibrationRun(subject.costs, in: context) { try subject.description.unet(rungs: $0) }
            let ladder = try run.ladder()
            return ladder.forwardSeconds + ladder.gradientSeconds
        }
        let mean = measured.reduce(0, +) / Double(neighbours)
        return max(0, (mean / (alone.forwardSeconds + alone.gradientSeconds) - 1) / Double(neighbours - 1))
    }

    /// Runs `body` on so many threads at once; each of them has a team of its own.
    private func neighbouring(_ count: Int, _ body: @escaping @Sendable () throws -> Double) throws -> [Double] {
        let results = ResultList()
        let threads = try (0..<count).map { try DedicatedThread(name: "neighbour \($0)") }
        for thread in threads { thread.enqueue { results.add(Result(catching: body)) } }
        return try results.wait(for: count).map { try $0.get() }
    }

    private static func machine() -> String {
        let processors = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
        let line = processors.split(separator: "\n").first { $0.hasPrefix("model name") }
        let name = line?.split(separator: ":").last.map { $0.trimmingCharacters(in: .whitespaces) }
        return "\(ProcessInfo.processInfo.hostName), \(name ?? "unknown processor")"
    }
}

/// What threads found, for one that waits for all of them.
private final class ResultList: @unchecked Sendable {
    // Unchecked Sendable: the condition guards the results.
    private let condition = NSCondition()
    private var results: [Result<Double, any Error>] = []

    func add(_ result: Result<Double, any Error>) {
        condition.withLock {
            results.append(result)
            condition.signal()
        }
    }

    func wait(for count: Int) -> [Result<Double, any Error>] {
        condition.withLock {
            while results.count < count { condition.wait() }
            return results
        }
    }
}
