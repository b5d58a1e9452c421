import Failures
import Foundation

extension SchedulerConfiguration {
    /// Reads and checks a `scheduler_config.json`.
    ///
    /// - Throws: `Failure.missingInput` when the file can't be read; `Failure.badData` naming file and key when it is
    ///   too large, not JSON, a value has the wrong type, is not supported, or is absurd.
    public init(contentsOf url: URL) throws {
        self = try ConfigurationFile.read(SchedulerConfiguration.self, from: url.path)
        try validate(file: url.path)
    }

    /// As `init(contentsOf:)`, from the file's bytes; `file` is its name in messages.
    public init(json: Data, file: String) throws {
        self = try ConfigurationFile.decode(SchedulerConfiguration.self, from: json, of: file)
        try validate(file: file)
    }

    /// Checks every value against what a noise schedule can be.
    ///
    /// - Throws: `Failure.badData` naming `file` and the key.
    public func validate(file: String) throws {
        func check(_ isGood: Bool, _ key: CodingKeys, _ expected: String, _ found: Any) throws {
            guard !isGood else { return }
            throw Failure.badData(file: file, key: key.rawValue, expected: expected, found: "\(found)")
        }
        try check(
            (1...Self.mostTrainingTimesteps).contains(trainingTimesteps), .trainingTimesteps,
            "1 to \(Self.mostTrainingTimesteps)", trainingTimesteps)
        let isVariance = { (beta: Double) in beta > 0 && beta < 1 }
        if let trainedBetas {
            try check(
                trainedBetas.count == trainingTimesteps, .trainedBetas,
                "one beta for each of \(trainingTimesteps) training timesteps", "\(trainedBetas.count) betas")
            let stranger = trainedBetas.first { !isVariance($0) }
            try check(stranger == nil, .trainedBetas, "betas between 0 and 1", stranger ?? 0)
        } else if betaSchedule != .squaredCosine {
            try check(isVariance(betaStart), .betaStart, "a number between 0 and 1", betaStart)
            try check(isVariance(betaEnd), .betaEnd, "a number between 0 and 1", betaEnd)
            try check(betaStart <= betaEnd, .betaEnd, "at least beta_start, which is \(betaStart)", betaEnd)
        }
        try check(
            clipSampleRange.isFinite && clipSampleRange > 0, .clipSampleRange, "a positive number", clipSampleRange)
        try check(
            (0..<trainingTimesteps).contains(stepsOffset), .stepsOffset, "0 to \(trainingTimesteps - 1)", stepsOffset)
        try check(
            !thresholding, .thresholding,
            "false (dynamic thresholding is for models that work on pixels, not on latents)", thresholding)
    }
}
