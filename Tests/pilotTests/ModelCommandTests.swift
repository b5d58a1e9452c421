import Foundation
import TestSupport
import Testing

/// `pilot model …`, the built program on models that it makes itself.
@Suite struct ModelCommandTests {
    private func inNewFolder(_ body: (String) async throws -> Void) async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("pilot-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try await body(folder.path)
    }

    private func make(_ folder: String, _ options: String...) async throws -> ProgramResult {
        try await Launcher.run(
            "pilot", ["model", "init", "--architecture", "tiny", "--output", folder] + options)
    }

    @Test func modelsAreMadeOfTheirArguments() async throws {
        try await inNewFolder { folder in
            let weights = "unet/diffusion_pytorch_model.safetensors"
            var files: [String: Data] = [:]
            for (name, seed) in [("a", "7"), ("b", "7"), ("c", "8")] {
                let result = try await make("\(folder)/\(name)", "--seed", seed, "--dtype", "bfloat16")
                #expect(result.exitCode == 0, "\(result.errors)")
                files[name] = try Data(contentsOf: URL(fileURLWithPath: "\(folder)/\(name)/\(weights)"))
            }
            #expect(files["a"] == files["b"])
            #expect(files["a"] != files["c"])
            #expect(files["a"]?.count == files["c"]?.count)
        }
    }

    @Test func whatIsMadeIsInspected() async throws {
        try await inNewFolder { folder in
            #expect(try await make("\(folder)/model").exitCode == 0)
            let result = try await Launcher.run("pilot", ["model", "inspect", "\(folder)/model", "--json"])
            #expect(result.exitCode == 0, "\(result.errors)")
            let figures = try #require(
                try JSONSerialization.jsonObject(with: Data(result.output.utf8)) as? [String: Any])
            let components = try #require(figures["components"] as? [[String: Any]])
            #expect(components.compactMap { $0["name"] as? String } == ["unet", "vae", "text_encoder"])
            // float32 takes four bytes, and nothing but the weights is stored.
            for component in components {
                #expect(component["bytes"] as? Int == (component["parameters"] as? Int).map { $0 * 4 })
            }
            let text = try await Launcher.run("pilot", ["model", "inspect", "\(folder)/model"])
            #expect(text.output.contains("middle"))
        }
    }

    @Test func aFolderInTheWayStays() async throws {
        try await inNewFolder { folder in
            let result = try await make(folder)
            #expect(result.exitCode == 64)
            #expect(result.failureLines.count == 1)
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty)
        }
    }

    @Test func aTensorThatIsMissingIsNamed() async throws {
        try await inNewFolder { folder in
            #expect(try await make("\(folder)/model").exitCode == 0)
            let path = URL(fileURLWithPath: "\(folder)/model/unet/diffusion_pytorch_model.safetensors")
            // The header begins after eight bytes; another name of the same length leaves all offsets as they were.
            let renamed = try Data(contentsOf: path)
            let name = try #require(renamed.range(of: Data("\"conv_in.bias\"".utf8)))
            try renamed.replacingBytes(in: name, with: Data("\"conv_xx.bias\"".utf8)).write(to: path)
            let result = try await Launcher.run("pilot", ["model", "inspect", "\(folder)/model"])
            #expect(result.exitCode == 65)
            #expect(result.errors.contains("conv_in.bias") && result.errors.contains("conv_xx.bias"))
        }
    }

    /// One line of JSON per pass, with figures of all ranks; a layout of other ranks is refused.
    @Test func passesAreTimed() async throws {
        try await inNewFolder { folder in
            #expect(try await make("\(folder)/model").exitCode == 0)
            let command = [
                "model", "benchmark", "--model", "\(folder)/model", "--passes", "2", "--gradient", "--threads", "1",
            ]
            let result = try await Launcher.mpirun(ranks: 2, "pilot", command)
            #expect(result.exitCode == 0, "\(result.errors)")
            let passes = try result.output.split(separator: "\n").map {
                try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
            }
            #expect(passes.count == 2)
            for pass in passes {
                #expect((pass["forward_seconds"] as? Double ?? 0) > 0)
                #expect((pass["backward_seconds"] as? Double ?? 0) > 0)
                #expect((pass["peak_bytes_per_rank"] as? [Int])?.count == 2)
            }
            let stages = try await Launcher.mpirun(ranks: 3, "pilot", command + ["--layout", "stages=3"])
            #expect(stages.exitCode == 0, "\(stages.errors)")
            let refused = try await Launcher.mpirun(ranks: 3, "pilot", command + ["--layout", "stages=2"])
            #expect(refused.exitCode == 64)
            #expect(refused.failureLines.count == 1)
        }
    }

    @Test func benchmarkByKind() async throws {
        for type in ["float32", "bfloat16"] {
            let result = try await Launcher.run(
                "pilot", ["model", "benchmark", "--by-kind", "--passes", "1", "--threads", "1", "--dtype", type])
            #expect(result.exitCode == 0, "\(result.errors)")
            for words in ["forward: ", "gradient: ", "convolution", "linear", "attention", "all else", "limit"] {
                #expect(result.output.contains(words), "\(words) in \(result.output)")
            }
        }
        let several = try await Launcher.mpirun(ranks: 2, "pilot", ["model", "benchmark", "--by-kind"])
        #expect(several.exitCode == 64 && several.errors.contains("--by-kind"), "\(several.errors)")
    }
}

extension Data {
    fileprivate func replacingBytes(in range: Range<Data.Index>, with replacement: Data) -> Data {
        var copy = self
        copy.replaceSubrange(range, with: replacement)
        return copy
    }
}
