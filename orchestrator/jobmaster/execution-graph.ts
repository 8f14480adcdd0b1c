/**
 * The job graph spread out: one execution for each subtask, grouped in regions.
 *
 * Decides: which subtasks must restart together (Flink's pipelined regions: those that exchange records, directly or through others).
 * Invariants: regions are numbered by their first task in the order of vertices and subtasks, so every master counts them alike; an
 *   execution's state only moves on, and a terminal state stays.
 */
import { assert } from '../../coord/base/assert.ts';
import type { JobGraph, JobVertex } from '../graph/job-graph.ts';
import type { ExecutionId, ExecutionState, TaskMetrics } from '../rpc/messages.ts';

export interface Task {
  readonly vertex: JobVertex;
  readonly subtask: number;
  readonly region: number;
  execution: Execution | null;
}

export interface Execution {
  readonly executionId: ExecutionId;
  readonly attempt: number;
  readonly taskManagerId: string;
  /** SCHEDULED: not sent yet, because the assignment is not durable. */
  state: ExecutionState;
  /** All its splits have ended. */
  inputEnded: boolean;
  /** Ids of the splits that it was given at deployment; null: not known, a former master deployed it. */
  deployedSplits: ReadonlySet<string> | null;
  metrics: TaskMetrics | null;
}

export function isLive({ state }: Execution): boolean {
  return state !== 'FINISHED' && state !== 'CANCELED' && state !== 'FAILED';
}

const order: Readonly<Record<ExecutionState, number>> = { SCHEDULED: 0, DEPLOYING: 1, INITIALIZING: 2, RUNNING: 3, CANCELING: 4, FINISHED: 5, CANCELED: 5, FAILED: 5 };

/** False when the report says nothing new. */
export function moveTo(execution: Execution, state: ExecutionState): boolean {
  if (order[state] <= order[execution.state]) return false;
  execution.state = state;
  return true;
}

export class ExecutionGraph {
  readonly tasks: readonly Task[];
  readonly regions: readonly (readonly Task[])[];
  /** Slots that the job needs. */
  readonly parallelism: number;
  readonly #graph: JobGraph;
  readonly #jobId: string;
  readonly #byVertex = new Map<string, Task[]>();

  constructor(jobId: string, graph: JobGraph) {
    this.#jobId = jobId;
    this.#graph = graph;
    this.parallelism = Math.max(...graph.vertices.map((vertex) => vertex.parallelism));
    const regionOf = regionNumbers(graph);
    const tasks: Task[] = [];
    for (const vertex of graph.vertices) {
      const ofVertex = Array.from({ length: vertex.parallelism }, (_, subtask): Task => ({ vertex, subtask, region: regionOf.get(`${vertex.id}/${subtask}`) as number, execution: null }));
      this.#byVertex.set(vertex.id, ofVertex);
      tasks.push(...ofVertex);
    }
    this.tasks = tasks;
    this.regions = Array.from({ length: Math.max(...tasks.map((task) => task.region)) + 1 }, (_, region) => tasks.filter((task) => task.region === region));
  }

  tasksOf(vertexId: string): readonly Task[] {
    const tasks = this.#byVertex.get(vertexId);
    assert(tasks !== undefined, `job ${this.#jobId} has no vertex ${vertexId}`);
    return tasks;
  }

  begin(task: Task, attempt: number, taskManagerId: string, state: ExecutionState): Execution {
    const executionId = `${this.#jobId}/${task.vertex.id}/${task.subtask}/${attempt}`;
    task.execution = { executionId, attempt, taskManagerId, state, inputEnded: false, deployedSplits: null, metrics: null };
    return task.execution;
  }

  /** The current execution with this id. */
  find(executionId: ExecutionId): Task | undefined {
    const [, vertexId, subtask] = executionId.split('/');
    const task = this.#byVertex.get(vertexId ?? '')?.[Number(subtask)];
    return task?.execution?.executionId === executionId ? task : undefined;
  }

  /** Which subtasks of the neighbouring vertices this one exchanges records with. */
  neighbours(task: Task, direction: 'upstream' | 'downstream'): { vertexId: string; tasks: readonly Task[] }[] {
    return this.#graph.edges
      .filter((edge) => (direction === 'upstream' ? edge.to : edge.from) === task.vertex.id)
      .map((edge) => {
        const vertexId = direction === 'upstream' ? edge.from : edge.to;
        const all = this.tasksOf(vertexId);
        return { vertexId, tasks: edge.partitioning === 'forward' ? all.slice(task.subtask, task.subtask + 1) : all };
      });
  }
}

/** Region of each "vertex/subtask". */
function regionNumbers(graph: JobGraph): Map<string, number> {
  const parent = new Map<string, string>();
  const find = (key: string): string => {
    let root = key;
    while (parent.get(root) !== root) root = parent.get(root) as string;
    return root;
  };
  const keys = (vertex: JobVertex): string[] => Array.from({ length: vertex.parallelism }, (_, subtask) => `${vertex.id}/${subtask}`);
  for (const vertex of graph.vertices) for (const key of keys(vertex)) parent.set(key, key);
  const vertices = new Map(graph.vertices.map((vertex) => [vertex.id, vertex]));
  for (const { from, to, partitioning } of graph.edges) {
    const senders = keys(vertices.get(from) as JobVertex);
    const receivers = keys(vertices.get(to) as JobVertex);
    if (partitioning === 'forward') senders.forEach((key, i) => parent.set(find(receivers[i] as string), find(key)));
    else for (const key of [...senders, ...receivers]) parent.set(find(key), find(senders[0] as string));
  }
  const numbers = new Map<string, number>();
  const regionOf = new Map<string, number>();
  for (const key of graph.vertices.flatMap(keys)) {
    const root = find(key);
    if (!numbers.has(root)) numbers.set(root, numbers.size);
    regionOf.set(key, numbers.get(root) as number);
  }
  return regionOf;
}
