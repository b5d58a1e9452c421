// swift-tools-version: 6.2
import PackageDescription

let swift: [SwiftSetting] = [
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

// A Swift room: its name, the rooms below it that it may import, and the settings all rooms share.
func room(_ name: String, uses dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: swift)
}

func tests(_ name: String, of dependencies: [Target.Dependency], fixtures: Bool = false) -> Target {
    .testTarget(
        name: name, dependencies: dependencies, exclude: fixtures ? ["Fixtures"] : [], swiftSettings: swift)
}

let package = Package(
    name: "pilot-mpi",
    products: [.executable(name: "pilot", targets: ["pilot"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0")
    ],
    targets: [
        .executableTarget(
            name: "pilot",
            dependencies: [
                "InpaintingJobs", "ReplicaSampling", "PilotInpainting", "ShardedRuntime", "DiffusionModels",
                "ImageFiles", "MessagePassing", "NeuralLayers", "TensorKernels", "Failures",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            resources: [
                .copy("Resources/scenes"), .copy("Resources/scenes-edges"), .copy("Resources/scenes-picture"),
                .copy("Resources/clip"),
            ],
            swiftSettings: swift),
        room(
            "InpaintingJobs",
            uses: ["PilotInpainting", "DiffusionModels", "ImageFiles", "NeuralLayers", "TensorKernels", "Failures"]),
        room(
            "ReplicaSampling",
            uses: ["PilotInpainting", "ShardedRuntime", "DiffusionModels", "MessagePassing", "Failures"]),
        room("PilotInpainting", uses: ["DiffusionModels", "TensorKernels", "Failures"]),
        room(
            "ShardedRuntime", uses: ["DiffusionModels", "NeuralLayers", "MessagePassing", "TensorKernels", "Failures"]),
        room("DiffusionModels", uses: ["NeuralLayers", "TensorKernels", "Failures"]),
        room("ImageFiles", uses: ["Failures", "CPNG", "CJPEG", "CLittleCMS"]),
        room("MessagePassing", uses: ["Failures", "COpenMPI"]),
        room("NeuralLayers", uses: ["TensorKernels", "Failures"]),
        room(
            "TensorKernels",
            uses: ["Failures", "COneDNN", "COpenBLAS", "CVectorKernels", "CSharedMemory", "CMappedFile"]),
        room("Failures"),

        .systemLibrary(
            name: "OpenMPISystem", path: "Sources/COpenMPI/System", pkgConfig: "ompi-c",
            providers: [.apt(["libopenmpi-dev"])]),
        .target(
            name: "COpenMPI", dependencies: ["OpenMPISystem"], exclude: ["System"],
            cSettings: [.treatAllWarnings(as: .error)]),
        .systemLibrary(name: "COpenBLAS", pkgConfig: "openblas", providers: [.apt(["libopenblas-dev"])]),
        .target(
            name: "COneDNN", cSettings: [.treatAllWarnings(as: .error)], linkerSettings: [.linkedLibrary("dnnl")]),
        .target(name: "CMappedFile", cSettings: [.treatAllWarnings(as: .error)]),
        .target(name: "CSharedMemory", cSettings: [.treatAllWarnings(as: .error)]),
        .target(
            name: "CPNG", cSettings: [.treatAllWarnings(as: .error)], linkerSettings: [.linkedLibrary("png")]),
        .target(
            name: "CJPEG", cSettings: [.treatAllWarnings(as: .error)], linkerSettings: [.linkedLibrary("jpeg")]),
        .target(
            name: "CLittleCMS", cSettings: [.treatAllWarnings(as: .error)], linkerSettings: [.linkedLibrary("lcms2")]),
        .target(
            name: "CVectorKernels", cSettings: [.treatAllWarnings(as: .error)],
            linkerSettings: [.linkedLibrary("gomp")]),

        // What tests share, a program that they run under mpirun, and one that shares memory with them.
        .target(
            name: "TestSupport",
            dependencies: [
                "ShardedRuntime", "DiffusionModels", "NeuralLayers", "MessagePassing", "TensorKernels", "Failures",
            ],
            path: "Tests/TestSupport", exclude: ["Cache"], swiftSettings: swift),
        .executableTarget(
            name: "RankProbe",
            dependencies: [
                "TestSupport", "ShardedRuntime", "DiffusionModels", "MessagePassing", "TensorKernels", "Failures",
            ],
            path: "Tests/RankProbe", swiftSettings: swift),
        .executableTarget(
            name: "ArenaProbe", dependencies: ["TensorKernels", "Failures"], path: "Tests/ArenaProbe",
            swiftSettings: swift),

        .target(
            name: "ReferenceKernels", dependencies: ["TensorKernels"], path: "Tests/ReferenceKernels",
            swiftSettings: swift),
        tests(
            "TensorKernelsTests",
            of: ["TensorKernels", "ReferenceKernels", "CVectorKernels", "Failures", "TestSupport"], fixtures: true),
        tests("NeuralLayersTests", of: ["NeuralLayers", "TensorKernels", "ReferenceKernels"]),
        tests(
            "DiffusionModelsTests",
            of: ["DiffusionModels", "NeuralLayers", "TensorKernels", "ReferenceKernels", "Failures", "TestSupport"],
            fixtures: true),
        tests("ImageFilesTests", of: ["ImageFiles", "Failures", "TestSupport"], fixtures: true),
        tests("MessagePassingTests", of: ["MessagePassing", "Failures", "TestSupport"]),
        tests(
            "ShardedRuntimeTests",
            of: [
                "ShardedRuntime", "DiffusionModels", "NeuralLayers", "MessagePassing", "TensorKernels", "Failures",
                "TestSupport",
            ]),
        tests(
            "ReplicaSamplingTests",
            of: [
                "ReplicaSampling", "PilotInpainting", "ShardedRuntime", "DiffusionModels", "MessagePassing", "Failures",
                "TestSupport",
            ]),
        tests("PilotInpaintingTests", of: ["PilotInpainting", "DiffusionModels", "Failures"], fixtures: true),
        tests(
            "InpaintingJobsTests",
            of: [
                "InpaintingJobs", "PilotInpainting", "DiffusionModels", "ImageFiles", "TensorKernels", "Failures",
                "TestSupport",
            ]),
        tests("pilotTests", of: ["InpaintingJobs", "TensorKernels", "ImageFiles", "TestSupport"], fixtures: true),
    ]
)
