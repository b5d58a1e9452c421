import Foundation
import InpaintingJobs
import NeuralLayers
import ShardedRuntime
import TensorKernels

/// What a plan is asked for.
struct PlanQuestion: Sendable {
    let cluster: Cluster
    let jobs: Int
    let passes: PicturePasses
    let layout: LayoutRequest
    let threads: Int?
    let network: Calibration.Link
    let networkText: String
    let calibration: Calibration
    let calibrationSource: String
}

/// A plan's figures; `pilot plan --json` prints it as it is. Bytes, seconds, and 10^9 floating-point operations.
struct PlanFigures: Encodable {
    /// One stage, which `ranks` ranks hold; of strips, the one that has the most rows.
    struct Stage: Encodable {
        let rungs: [Int]
        let ranks: Int
        let parameters: Int
        let weightBytes: Int
        let keptBytesOfPass: Int
        let passesInFlight: Int
        /// What one of its ranks needs beside the weights, the greatest.
        let ownBytes: Int
        let rankBytes: Int
        /// Of one pass: down and up, and back.
        let forward: Double
        let gradient: Double
        let forwardSeconds: Double
        let gradientSeconds: Double
        /// To the stage below, and to the one above, or the driver.
        let messageBytesDown: Int
        let messageBytesUp: Int
        let hasPictures: Bool
        let utilisation: Double
    }

    struct Node: Encodable {
        let firstRank: Int
        let ranks: Int
        let bytes: Int
    }

    /// A layout that was looked at.
    struct Alternative: Encodable {
        let layout: String
        let ranks: Int
        let jobsInFlight: Int
        let nodeBytes: Int
        let picturesPerHour: Double
        let pictureSeconds: Double
        let seconds: Double
    }

    let model: String
    let width: Int
    let height: Int
    let elementType: String
    let threads: Int
    let ranks: Int
    let nodes: Int
    let ranksPerNode: Int
    let memoryPerNode: Int?
    let jobs: Int
    let network: String
    let calibration: String
    let isMeasured: Bool
    let layout: String
    let ranksInUse: Int
    let jobsInFlight: Int
    let note: String?
    let stages: [Stage]
    let nodeMemory: [Node]
    let encodeGflop: Double
    let decodeGflop: Double
    let latentBytes: Int
    /// What each rank of a replica sends for an evaluation of both branches: without the gradient, and with it.
    let sentBytesOfStep: [Int]
    let sentBytesOfGradientStep: [Int]
    let stepSeconds: Double
    let gradientStepSeconds: Double
    let pictureSeconds: Double
    let seconds: Double
    let picturesPerHour: Double
    let utilisation: [Double]
    let driverUtilisation: Double
    let limit: String
    let simulatedJobs: Int
    let simulatedEvents: Int
    let roundsLeftOut: Double
    let alternatives: [Alternative]

    func json() throws -> String {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(self), as: UTF8.self)
    }
}

extension PlanFigures {
    /// So many layouts are simulated at most; of the others the estimate has told that they are slower.
    private static let mostAlternatives = 6

    /// - Throws: `Failure.usage` when nothing fits, or what is asked for does not.
    init(_ subject: PlanSubject, _ question: PlanQuestion) throws {
        let costs = subject.costs
        let (speed, isExact) = question.calibration.speed(costs.elementType, threads: question.threads)
        let times = TaskTimes(costs, speed)
        let chooser = LayoutChooser(
            costs, cluster: question.cluster, pictures: question.jobs, passes: question.passes, times: times,
            overhead: question.calibration.taskOverhead, node: question.calibration.node, network: question.network)
        let choice = try chooser.choose(question.layout)
        let simulation = Simulation(
            costs, cluster: question.cluster, passes: question.passes, calibration: question.calibration, speed: speed,
            network: question.network)
        func predict(_ choice: LayoutChooser.Choice) throws -> Simulation.Prediction {
            try simulation.predict(choice.layout, jobsInFlight: choice.jobsInFlight, pictures: question.jobs)
        }
        let prediction = try predict(choice)
        let others = chooser.candidates().filter { $0.layout != choice.layout }.prefix(Self.mostAlternatives - 1)
        alternatives = try ([(choice, prediction)] + others.map { ($0, try predict($0)) }).map(Alternative.init)

        model = subject.name
        width = subject.geometry.picture.width
        height = subject.geometry.picture.height
        elementType = costs.elementType.rawValue
        threads = speed.threads
        ranks = question.cluster.ranks
        nodes = question.cluster.nodes
        ranksPerNode = question.cluster.ranksPerNode
        memoryPerNode = question.cluster.memoryPerNode.map { Int($0) }
        jobs = question.jobs
        network = question.networkText
        calibration = question.calibrationSource + (isExact ? "" : ", scaled to these threads")
        isMeasured = times.areMeasured
        layout = choice.layout.description
        ranksInUse = choice.layout.ranks
        jobsInFlight = choice.jobsInFlight
        note = choice.note
        let strips = choice.layout.strips
        stages = choice.layout.stages.indices.map {
            Stage(
                $0, of: choice, costs, times.inStrips(strips, over: chooser.link(ofStrips: strips)), question.passes,
                prediction, isAlone: question.jobs == 1)
        }
        nodeMemory = choice.memory.nodes.map {
            Node(firstRank: $0.ranks.lowerBound, ranks: $0.ranks.count, bytes: Int($0.bytes))
        }
        encodeGflop = costs.pictures.encode.operations / 1e9
        decodeGflop = costs.pictures.decode.operations / 1e9
        latentBytes = costs.latentBytes
        let traffic = try subject.traffic(of: choice.layout)
        sentBytesOfStep = traffic.forward
        sentBytesOfGradientStep = traffic.withGradient
        stepSeconds = prediction.stepSeconds
        gradientStepSeconds = prediction.gradientStepSeconds
        pictureSeconds = prediction.pictureSeconds
        seconds = prediction.seconds
        picturesPerHour = prediction.picturesPerHour
        utilisation = prediction.utilisation
        driverUtilisation = prediction.driverUtilisation
        limit = Self.limit(choice, prediction, jobs: question.jobs)
        simulatedJobs = prediction.simulatedJobs
        simulatedEvents = prediction.eventCount
        roundsLeftOut = prediction.thinning
    }

    /// What to have more of.
    private static func limit(
        _ choice: LayoutChooser.Choice, _ prediction: Simulation.Prediction, jobs: Int
    ) -> String {
        let layout = choice.layout
        if prediction.driverUtilisation >= 1 {
            return "the driver of each replica, which all its evaluations go through"
        }
        let busiest =
            prediction.utilisation.indices.max { prediction.utilisation[$0] < prediction.utilisation[$1] } ?? 0
        let stage = layout.place(of: busiest * layout.strips)?.stage ?? 0
        let rungs = layout.stages[stage]
        let share = Int((100 * prediction.utilisation[busiest]).rounded())
        if share >= 90 {
            return layout.stages.count == 1
                ? "computing: ranks are busy \(share) % of the time"
                : "stage \(stage) (rungs \(rungs.lowerBound) to \(rungs.upperBound - 1)), busy \(share) % of the time"
        }
        if jobs < layout.replicas * layout.jobsToKeepBusy {
            return "the number of pictures: a picture has two passes under way at most, and ranks wait for each other"
        }
        if choice.jobsInFlight < layout.jobsToKeepBusy {
            return "memory: with room for more passes than those of \(choice.jobsInFlight) jobs, ranks would wait less"
        }
        return "messages: no rank is busy more than \(share) % of the time"
    }
}

extension PlanFigures.Alternative {
    init(_ choice: LayoutChooser.Choice, _ prediction: Simulation.Prediction) {
        layout = choice.layout.description
        ranks = choice.layout.ranks
        jobsInFlight = choice.jobsInFlight
        nodeBytes = Int(choice.memory.largestNode?.bytes ?? 0)
        picturesPerHour = prediction.picturesPerHour
        pictureSeconds = prediction.pictureSeconds
        seconds = prediction.seconds
    }
}

extension PlanFigures.Stage {
    init(
        _ stage: Int, of choice: LayoutChooser.Choice, _ costs: LadderCosts, _ times: TaskTimes,
        _ passes: PicturePasses, _ prediction: Simulation.Prediction, isAlone: Bool
    ) {
        let layout = choice.layout
        let range = layout.stages[stage]
        let work = costs.work(of: range)
        let model = MemoryModel(costs, isRecorded: passes.hasGradients, keepsNetworks: !isAlone)
        let onStage = choice.memory.ranks.indices.filter { layout.place(of: $0)?.stage == stage }
        let largest = onStage.map { choice.memory.ranks[$0] }.max { $0.bytes < $1.bytes }
        rungs = [range.lowerBound, range.upperBound - 1]
        ranks = onStage.count
        parameters = work.parameters
        weightBytes = Int(model.weights(of: range))
        keptBytesOfPass = Int(model.rowShare(layout.strips) * model.pass(on: range))
        passesInFlight = choice.jobsInFlight * layout.passesOfJob
        ownBytes = Int(largest?.ownBytes ?? 0)
        rankBytes = Int(largest?.bytes ?? 0)
        forward = work.operations / 1e9
        gradient = work.ofGradient.operations / 1e9
        forwardSeconds = times.seconds(ofPassOn: range, isRecorded: false)
        gradientSeconds = times.seconds(ofPassOn: range, isRecorded: true) - forwardSeconds
        let hasStageBelow = stage + 1 < layout.stages.count
        messageBytesDown = hasStageBelow ? costs.messageBytes(of: .down, from: range) : 0
        messageBytesUp = costs.messageBytes(of: hasStageBelow ? .up : .down, from: range)
        hasPictures = layout.pictureStage == stage
        let first = stage * layout.branches
        let shares = prediction.utilisation[first..<first + layout.branches]
        utilisation = shares.reduce(0, +) / Double(layout.branches)
    }
}
