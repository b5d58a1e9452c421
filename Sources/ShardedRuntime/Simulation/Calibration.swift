import DiffusionModels
import NeuralLayers
import TensorKernels

/// How fast a machine is: what turns counted operations into seconds.
public struct Calibration: Sendable, Equatable {
    /// Of ranks of a given number of threads in a given format.
    public struct Speed: Sendable, Equatable, Codable {
        public var elementType: String
        public var backend: String
        public var threads: Int
        /// Of the UNet.
        public var network: Rates
        /// Of the networks around it, which compute in float32.
        public var pictures: Rates
        /// What the UNet's own legs took, for the model and size that were measured.
        public var ladders: [MeasuredLadder]
        /// How much slower a task is for each further rank at work on the same machine.
        public var slowdownPerNeighbour: Double

        public init(
            elementType: String, backend: String, threads: Int, network: Rates, pictures: Rates,
            ladders: [MeasuredLadder], slowdownPerNeighbour: Double
        ) {
            self.elementType = elementType
            self.backend = backend
            self.threads = threads
            self.network = network
            self.pictures = pictures
            self.ladders = ladders
            self.slowdownPerNeighbour = slowdownPerNeighbour
        }

        enum CodingKeys: String, CodingKey {
            case backend, threads, network, pictures, ladders
            case elementType = "element_type"
            case slowdownPerNeighbour = "slowdown_per_neighbour"
        }
    }

    /// Seconds for an operation of each kind, and for a weight that is read.
    public struct Rates: Sendable, Equatable, Codable {
        public var convolution: Double
        public var linear: Double
        public var attention: Double
        /// For each number of a layer's weights: what counts at small sizes, where there is little to compute with it.
        public var weight: Double

        public init(convolution: Double, linear: Double, attention: Double, weight: Double) {
            self.convolution = convolution
            self.linear = linear
            self.attention = attention
            self.weight = weight
        }

        public func seconds(_ work: Work) -> Double {
            work.doneConvolutions * convolution + work.linear * linear + work.attention * attention
                + Double(work.weightsRead) * weight
        }
    }

    /// Seconds of each rung's legs, the last with the middle.
    public struct MeasuredLadder: Sendable, Equatable, Codable {
        /// Those that one pass really does, by which the ladder and its size are known again.
        public var operations: Double
        public var parameters: Int
        public var down: [Double]
        public var up: [Double]
        public var upGradient: [Double]
        public var downGradient: [Double]

        public init(
            operations: Double, parameters: Int, down: [Double], up: [Double], upGradient: [Double],
            downGradient: [Double]
        ) {
            self.operations = operations
            self.parameters = parameters
            self.down = down
            self.up = up
            self.upGradient = upGradient
            self.downGradient = downGradient
        }

        enum CodingKeys: String, CodingKey {
            case operations, parameters, down, up
            case upGradient = "up_gradient"
            case downGradient = "down_gradient"
        }
    }

    /// What it takes to bring bytes from rank to rank.
    public struct Link: Sendable, Equatable, Codable {
        /// Seconds until a message without contents is there.
        public var latency: Double
        /// Bytes for a second.
        public var bandwidth: Double

        public init(latency: Double, bandwidth: Double) {
            self.latency = latency
            self.bandwidth = bandwidth
        }

        public func seconds(_ bytes: Int) -> Double { latency + Double(bytes) / bandwidth }

        /// Between machines, where nobody says what the network is: Ethernet of 10 Gbit/s.
        public static let ethernet = Link(latency: 50e-6, bandwidth: 1e9)
    }

    /// What was measured, in words; nil for the figures that come with the program.
    public var machine: String?
    public var speeds: [Speed]
    /// Between ranks of one machine.
    public var node: Link
    /// Between starting two tasks on one rank: what messages, scheduler and threads cost.
    public var taskOverhead: Double
    /// What the driver computes for each evaluation that comes back.
    public var driverSeconds: Double

    public init(
        machine: String?, speeds: [Speed], node: Link, taskOverhead: Double, driverSeconds: Double
    ) {
        self.machine = machine
        self.speeds = speeds
        self.node = node
        self.taskOverhead = taskOverhead
        self.driverSeconds = driverSeconds
    }

    /// One core of an AMD EPYC (Zen 4) with AVX-512 and bfloat16 products, fitted to the calibrated legs of Stable Diffusion
    /// 1.5 at 256x256, in bfloat16 to `pilot model benchmark --by-kind`: for planning before anything is measured, and to
    /// weigh rungs against each other.
    public static let builtIn: Calibration = {
        // Weights are read while what was read before is multiplied, so next to nothing of that is left to see.
        let float = Rates(convolution: 1 / 98e9, linear: 1 / 95e9, attention: 1 / 89e9, weight: 4 / 140e9)
        let half = Rates(convolution: 1 / 210e9, linear: 1 / 205e9, attention: 1 / 145e9, weight: 2 / 140e9)
        func speed(_ type: ElementType, _ rates: Rates) -> Speed {
            Speed(
                elementType: type.rawValue, backend: BackendName.oneDNN.rawValue, threads: 1, network: rates,
                pictures: float, ladders: [], slowdownPerNeighbour: 0)
        }
        return Calibration(
            machine: nil, speeds: [speed(.float32, float), speed(.bfloat16, half)],
            node: Link(latency: 50e-6, bandwidth: 4e9), taskOverhead: 100e-6, driverSeconds: 200e-6)
    }()

    /// The speed for ranks of this format and number of threads: the one that was measured, else another one of the
    /// format, as if more threads were as much faster, else the built-in one.
    ///
    /// - Parameter threads: nil to take what there is.
    public func speed(
        _ elementType: ElementType, threads: Int?, backend: BackendName = .oneDNN
    ) -> (speed: Speed, isExact: Bool) {
        let candidates = speeds.filter { $0.elementType == elementType.rawValue && $0.backend == backend.rawValue }
        if let exact = candidates.last(where: { threads == nil || $0.threads == threads }) { return (exact, true) }
        if let near = candidates.last { return (near.scaled(to: threads ?? near.threads), false) }
        let known = speeds.last { $0.elementType == elementType.rawValue }
        let builtIn = Self.builtIn.speeds.first { $0.elementType == elementType.rawValue } ?? Self.builtIn.speeds[0]
        let speed = known ?? builtIn
        return (speed.scaled(to: threads ?? speed.threads), false)
    }
}

extension Calibration.MeasuredLadder {
    /// Of one pass.
    public var forwardSeconds: Double { (down + up).reduce(0, +) }
    public var gradientSeconds: Double { (upGradient + downGradient).reduce(0, +) }
}

extension Calibration {
    /// Takes in what was measured; it replaces what there was for the same format, threads and library, but ladders of
    /// other models and sizes stay.
    public mutating func merge(_ speed: Speed) {
        let known = speeds.firstIndex {
            $0.elementType == speed.elementType && $0.backend == speed.backend && $0.threads == speed.threads
        }
        guard let known else {
            speeds.append(speed)
            return
        }
        let others = speeds[known].ladders.filter { old in
            !speed.ladders.contains { $0.operations == old.operations && $0.parameters == old.parameters }
        }
        speeds[known] = speed
        speeds[known].ladders = others + speed.ladders
    }
}

extension Calibration.Speed {
    fileprivate func scaled(to threads: Int) -> Calibration.Speed {
        let factor = Double(self.threads) / Double(threads)
        var speed = self
        speed.threads = threads
        speed.network = network * factor
        speed.pictures = pictures * factor
        speed.ladders = ladders.map { ladder in
            var ladder = ladder
            ladder.down = ladder.down.map { $0 * factor }
            ladder.up = ladder.up.map { $0 * factor }
            ladder.upGradient = ladder.upGradient.map { $0 * factor }
            ladder.downGradient = ladder.downGradient.map { $0 * factor }
            return ladder
        }
        return speed
    }
}

extension Calibration.Rates {
    static func * (rates: Calibration.Rates, factor: Double) -> Calibration.Rates {
        Calibration.Rates(
            convolution: rates.convolution * factor, linear: rates.linear * factor,
            attention: rates.attention * factor, weight: rates.weight * factor)
    }
}

/// What every task of a model takes on a rank: counted costs at a calibrated speed.
public struct TaskTimes: Sendable {
    private let costs: LadderCosts
    private let speed: Calibration.Speed
    private let ladder: Calibration.MeasuredLadder?
    private var strips: StripShares?

    public init(_ costs: LadderCosts, _ speed: Calibration.Speed) {
        self.costs = costs
        self.speed = speed
        let total = costs.total
        ladder = speed.ladders.last {
            $0.operations == total.doneOperations && $0.parameters == total.parameters
                && [$0.down, $0.up, $0.upGradient, $0.downGradient].allSatisfy { $0.count == costs.rungCount }
        }
    }

    /// Whether this model was measured at this size, and not its operations counted alone.
    public var areMeasured: Bool { ladder != nil }

    /// The same tasks where the rows of a picture are dealt among ranks.
    ///
    /// - Parameter link: between these.
    public func inStrips(_ count: Int, over link: Calibration.Link) -> TaskTimes {
        var times = self
        times.strips = count > 1 ? StripShares(costs, strips: count, link: link) : nil
        return times
    }

    /// Seconds of one leg on one stage, when nothing else runs on the machine.
    public func seconds(of leg: Leg, on stage: Range<Int>) -> Double {
        if let strips { return seconds(of: leg, on: stage, strips) }
        guard let ladder else { return speed.network.seconds(costs.work(of: leg, on: stage)) }
        func sum(_ seconds: [Double]) -> Double { seconds[stage].reduce(0, +) }
        let turnsRound = costs.isLast(stage)
        switch leg {
        case .down: return sum(ladder.down) + (turnsRound ? sum(ladder.up) : 0)
        case .up: return turnsRound ? 0 : sum(ladder.up)
        case .upGradient: return sum(ladder.upGradient) + (turnsRound ? sum(ladder.downGradient) : 0)
        case .downGradient: return turnsRound ? 0 : sum(ladder.downGradient)
        }
    }

    private func seconds(of leg: Leg, on stage: Range<Int>, _ strips: StripShares) -> Double {
        let sides: [Bool]
        switch leg {
        case .down, .upGradient: sides = costs.isLast(stage) ? [false, true] : [leg == .upGradient]
        case .up, .downGradient: sides = costs.isLast(stage) ? [] : [leg == .up]
        }
        return stage.reduce(0) { sum, rung in
            sides.reduce(sum) { sum, isUp in
                let work = costs.work(ofRung: rung, isUp: isUp, isGradient: leg.isGradient)
                return sum
                    + strips.seconds(
                        seconds(ofRung: rung, isUp: isUp, isGradient: leg.isGradient, work), of: work,
                        at: costs.rungs[rung].skip, isGradient: leg.isGradient, rates: speed.network)
            }
        }
    }

    /// Of one side of one rung, on a rank that has all rows.
    private func seconds(ofRung rung: Int, isUp: Bool, isGradient: Bool, _ work: Work) -> Double {
        guard let ladder else { return speed.network.seconds(work) }
        switch (isUp, isGradient) {
        case (false, false): return ladder.down[rung]
        case (true, false): return ladder.up[rung]
        case (true, true): return ladder.upGradient[rung]
        case (false, true): return ladder.downGradient[rung]
        }
    }

    /// Seconds of a pass through `stage`, and of its gradient if it is recorded.
    public func seconds(ofPassOn stage: Range<Int>, isRecorded: Bool) -> Double {
        let legs: [Leg] = isRecorded ? Leg.allCases : [.down, .up]
        return legs.reduce(0) { $0 + seconds(of: $1, on: stage) }
    }

    /// Seconds of work on a picture: of both prompts, of one encoding, of one decoding.
    public func seconds(of work: PictureWork) -> Double {
        let counted = costs.pictures.work(of: work)
        let seconds = speed.pictures.seconds(counted)
        guard let strips, work == .encode || work == .decode else { return seconds }
        return strips.pictureSeconds(seconds, of: counted, rates: speed.pictures)
    }
}
